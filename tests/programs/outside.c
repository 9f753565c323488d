// A child waits for what somebody outside of the recording does, and its parent for the child: outside HOW WHAT. Nothing
// of it is stuck. tests/checks/outside.sh is the somebody.
#include "program.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>

static void read_fd(const char *fd) {
    char bytes[8];
    CHECK(read(atoi(fd), bytes, sizeof bytes) > 0);
}

static void epoll_fd(const char *fd) {
    struct epoll_event e = {.events = EPOLLIN};
    int set = epoll_create1(0);
    CHECK(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, atoi(fd), &e) == 0);
    CHECK(epoll_wait(set, &e, 1, -1) == 1);
}

// Has both ends itself.
static void read_fifo(const char *path) {
    char c;
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && read(fd, &c, 1) == 1);
}

static void wait_flock(const char *path) {
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
}

static void wait_range(const char *path) {
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && lockf(fd, F_LOCK, 0) == 0);
}

static void wait_sem(const char *name) {
    sem_t *s = sem_open(name, 0);
    CHECK(s != SEM_FAILED && sem_wait(s) == 0);
}

static void wait_sysv(const char *key) {
    struct sembuf down = {.sem_num = 0, .sem_op = -1};
    int set = semget(atoi(key), 1, 0);
    CHECK(set >= 0 && semop(set, &down, 1) == 0);
}

static void wait_server(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char c;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && read(fd, &c, 1) == 1);
}

static const struct row {
    const char *name;
    void (*wait)(const char *);
} rows[] = {
    {"read", read_fd},     {"epoll", epoll_fd}, {"fifo", read_fifo}, {"flock", wait_flock},
    {"range", wait_range}, {"sem", wait_sem},   {"sysv", wait_sysv}, {"server", wait_server},
};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (argc < 3 || strcmp(argv[1], rows[i].name) != 0) continue;
        puts("waits");
        fflush(stdout);
        pid_t pid = fork();
        if (!pid) {
            rows[i].wait(argv[2]);
            _exit(0);
        }
        CHECK(reap(pid) == 0);
        puts("well");
        return 0;
    }
    return 2;
}

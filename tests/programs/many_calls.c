// One call of each kind of argument, for what writes calls down: paths, flags, buffers, structs, sockets, waits, signals. One task
// at a time, and the same calls in every run.
#include "program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>

static void files(void) {
    char data[100], long_name[300];
    struct stat s;
    int fd = open("many_calls.data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    CHECK(fd >= 0);
    CHECK(write(fd, "a \"quoted\"\n\0\1line\2773 \33[1m, longer than what is shown", 51) == 51);
    CHECK(lseek(fd, 2, SEEK_SET) == 2 && read(fd, data, 8) == 8 && pread(fd, data, sizeof data, 0) == 51);
    struct iovec parts[2] = {{"ab", 2}, {"cde", 3}};
    CHECK(writev(fd, parts, 2) == 5);
    CHECK(fstat(fd, &s) == 0 && stat("/dev/null", &s) == 0 && lstat("/no/such/file", &s) == -1);
    memset(long_name, 'n', sizeof long_name);
    long_name[299] = 0;
    CHECK(access(long_name, R_OK | W_OK) == -1);
    CHECK(fcntl(fd, F_GETFL) >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_SETFD, 0) == 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    int other = dup(fd), third = dup3(fd, 100, O_CLOEXEC);
    CHECK(other >= 0 && third == 100);
    int here = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(here >= 0 && openat(here, "no such file", O_RDONLY) == -1);
    int again = openat(here, "many_calls.data", O_RDONLY | O_NOFOLLOW);
    CHECK(again >= 0 && ftruncate(fd, 4096) == 0 && readlink("/proc/self/none", data, sizeof data) == -1);
    void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, again, 0);
    CHECK(p != MAP_FAILED && madvise(p, 4096, MADV_DONTNEED) == 0 && munmap(p, 4096) == 0);
    CHECK(close(again) == 0 && close(here) == 0 && close(other) == 0 && close(third) == 0 && close(fd) == 0);
    CHECK(unlink("many_calls.data") == 0 && close(fd) == -1);
}

static void waits(void) {
    int ends[2];
    char byte;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    struct pollfd p[2] = {{.fd = ends[0], .events = POLLIN | POLLPRI}, {.fd = ends[1], .events = POLLOUT}};
    CHECK(poll(p, 1, 0) == 0 && poll(p, 2, 1000) == 1);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[1], &set);
    struct timeval never = {0, 0};
    CHECK(select(ends[1] + 1, NULL, &set, NULL, &never) == 1);
    int e = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 7};
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &event) == 0 && write(ends[1], "x", 1) == 1);
    CHECK(epoll_wait(e, &event, 1, 1000) == 1 && read(ends[0], &byte, 1) == 1);
    CHECK(epoll_ctl(e, EPOLL_CTL_DEL, ends[0], &event) == 0);
    int counter = eventfd(3, EFD_NONBLOCK), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec when = {.it_value = {.tv_sec = 1000}};
    CHECK(timerfd_settime(timer, 0, &when, NULL) == 0);
    struct timespec nap = {0, 1000};
    CHECK(nanosleep(&nap, NULL) == 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL) == 0);
    close(timer), close(counter), close(e), close(ends[0]), close(ends[1]);
}

static void sockets(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, pair[2];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
    CHECK(bind(listener, (void *)&a, sizeof a) == 0 && listen(listener, 5) == 0);
    CHECK(getsockname(listener, (void *)&a, &length) == 0);
    int there = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    CHECK(connect(there, (void *)&a, sizeof a) == 0);
    struct sockaddr_in6 large; // the length comes back smaller
    length = sizeof large;
    int here = accept4(listener, (void *)&large, &length, SOCK_CLOEXEC);
    CHECK(here >= 0 && send(here, "hello", 5, MSG_NOSIGNAL) == 5);
    char data[50];
    CHECK(recv(there, data, sizeof data, 0) == 5 && getpeername(listener, (void *)&a, &length) == -1);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec part = {"fd", 2};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &listener, sizeof listener);
    CHECK(sendmsg(pair[0], &m, 0) == 2);
    part = (struct iovec){data, sizeof data};
    CHECK(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC) == 2);
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(client, (void *)&local, sizeof local) == -1);
}

static void on_signal(int signal) {
    (void)signal;
}

static void tasks(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&action.sa_mask, SIGHUP);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    pid_t child = fork();
    if (child == 0) _exit(3);
    int status;
    CHECK(wait4(child, &status, 0, NULL) == child);
    CHECK((child = vfork()) >= 0);
    if (child == 0) {
        execl("/bin/true", "true", "an argument", NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    struct rlimit limit;
    struct utsname name;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
          uname(&name) == 0);
    CHECK(prctl(PR_SET_NAME, "calls") == 0);
    umask(022);
}

int main(void) {
    files();
    waits();
    sockets();
    tasks();
    return 0;
}

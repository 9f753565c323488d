// The program ends with status 7, its child lives on: with threads in calls that a stop must not disturb, and one that computes.
// SIGUSR1 makes the child use what refork stands behind (rdtsc, calls, a child of its own, exec, threads) and write "well" into
// the file "alive"; it ends when the file "end" is there.
#include "program.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <x86intrin.h>

static volatile sig_atomic_t asked;
static atomic_int bad;
static atomic_int word = 5;
static int never[2];

static void on_usr1(int sig) {
    (void)sig;
    asked = 1;
}

static void *in_epoll(void *unused) {
    struct epoll_event e = {.events = EPOLLIN};
    int set = epoll_create1(0);
    CHECK(epoll_ctl(set, EPOLL_CTL_ADD, never[0], &e) == 0);
    if (epoll_wait(set, &e, 1, -1) != 1) bad = 1;
    return unused;
}

static void *in_read(void *unused) {
    char byte;
    if (read(never[0], &byte, 1) != 1) bad = 2;
    return unused;
}

static void *in_futex(void *unused) {
    if (syscall(SYS_futex, &word, 0, 5, NULL, NULL, 0)) bad = 3;
    return unused;
}

static void *in_sleep(void *unused) {
    struct timespec left, hour = {.tv_sec = 3600};
    if (nanosleep(&hour, &left)) bad = 4;
    return unused;
}

static void *computes(void *unused) {
    for (volatile unsigned long n = 0;; n++)
        ;
    return unused;
}

static void *ends(void *unused) {
    return unused;
}

// NULL: all is well.
static const char *look(void) {
    pthread_t t;
    unsigned aux;
    int status;
    if (bad) return "a call was disturbed";
    if (!__rdtsc() || !__rdtscp(&aux)) return "no rdtsc";
    if (pthread_create(&t, NULL, ends, NULL) || pthread_join(t, NULL)) return "no thread";
    pid_t child = fork();
    if (!child) {
        execl("/bin/sh", "sh", "-c", "exit $((3 + 4))", (char *)NULL);
        _exit(1);
    }
    if (waitpid(child, &status, 0) != child || status != 7 << 8) return "no child";
    return NULL;
}

static void put(const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "%s.new", name);
    FILE *f = fopen(path, "w");
    CHECK(f && fprintf(f, "%s\n", text) > 0 && fclose(f) == 0 && rename(path, name) == 0);
}

static void live_on(void) {
    char pid[32];
    pthread_t t;
    void *(*const all[])(void *) = {in_epoll, in_read, in_futex, in_sleep, computes};
    sigset_t usr1, none;
    setsid();
    CHECK(pipe(never) == 0);
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    signal(SIGUSR1, on_usr1);
    sigprocmask(SIG_BLOCK, &usr1, NULL); // the main thread alone has it
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(pthread_create(&t, NULL, all[i], NULL) == 0);
    snprintf(pid, sizeof pid, "%d", getpid());
    put("pid", pid);
    while (access("end", F_OK)) {
        sigsuspend(&none);
        if (!asked) continue;
        asked = 0;
        const char *wrong = look();
        put("alive", wrong ? wrong : "well");
    }
    _exit(0);
}

int main(void) {
    printf("the program\n");
    fflush(stdout);
    if (!fork()) live_on();
    while (access("pid", F_OK))
        sleep_ms(1); // until the child lives by itself
    return 7;
}

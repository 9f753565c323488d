// Instructions and library calls at which refork traps, while SIGSEGV and SIGTRAP are blocked, ignored or handled: mask and
// handlers stay, and are obeyed afterwards.
#include "program.h"

#include <cpuid.h>
#include <sys/mman.h>
#include <x86intrin.h>

static volatile int came;

static void on(int sig, siginfo_t *info, void *context) {
    (void)info, (void)context;
    came = sig;
}

static void trapping(int rounds) {
    unsigned a, b, c, d;
    for (int i = 0; i < rounds; i++) {
        CHECK(__rdtsc() != 0);
        CHECK(__get_cpuid(0, &a, &b, &c, &d));
        CHECK(strtol("17", NULL, 10) == 17);
    }
}

static void check(int sig, int blocked, void (*handler)(int, siginfo_t *, void *)) {
    sigset_t now;
    struct sigaction action;
    CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
    CHECK(sigismember(&now, sig) == blocked);
    CHECK(sigaction(sig, NULL, &action) == 0);
    CHECK(action.sa_sigaction == handler);
    if (handler == on) CHECK(action.sa_flags & SA_SIGINFO && sigismember(&action.sa_mask, SIGUSR1));
}

static void *busy(void *end) {
    for (volatile int *stop = end; !*stop;)
        trapping(1);
    return NULL;
}

// Two threads that take turns by the clock of library calls, whose trap is an int3.
static void preempted(int sig) {
    static volatile int stop;
    pthread_t thread;
    stop = 0;
    CHECK(pthread_create(&thread, NULL, busy, (void *)&stop) == 0);
    for (long long until = now_ns() + 60000000; now_ns() < until;)
        for (int i = 0; i < 20000; i++)
            CHECK(strtol("18", NULL, 10) == 18);
    stop = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    check(sig, 1, on);
}

// The mask is set without a stop by then, and a trap is what stops the thread next.
static void set_often(int sig) {
    sigset_t all, others;
    sigfillset(&all);
    sigfillset(&others);
    sigdelset(&others, sig);
    for (int i = 0; i < 3000; i++) {
        CHECK(sigprocmask(SIG_SETMASK, &others, NULL) == 0);
        CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
    }
    trapping(1);
    check(sig, 1, on);
}

int main(void) {
    static const int signals[] = {SIGSEGV, SIGTRAP};
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    for (int i = 0; i < 2; i++) {
        int sig = signals[i];
        struct sigaction handled = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
        sigaddset(&handled.sa_mask, SIGUSR1);
        CHECK(sigaction(sig, &handled, NULL) == 0);
        trapping(3);
        check(sig, 0, on);
        CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
        trapping(3);
        check(sig, 1, on);
        preempted(sig);
        set_often(sig);
        came = 0;
        CHECK(raise(sig) == 0 && !came); // pending
        trapping(3);
        CHECK(!came);
        CHECK(sigprocmask(SIG_SETMASK, &none, NULL) == 0 && came == sig);
        CHECK(signal(sig, SIG_IGN) != SIG_ERR);
        trapping(3);
        check(sig, 0, (void (*)(int, siginfo_t *, void *))(void *)SIG_IGN);
        CHECK(signal(sig, SIG_DFL) != SIG_ERR);
        CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
        trapping(3);
        check(sig, 1, (void (*)(int, siginfo_t *, void *))(void *)SIG_DFL);
        CHECK(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    }
    // A child inherits the mask.
    CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
    pid_t child = fork();
    if (!child) {
        trapping(2);
        sigset_t now;
        CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
        _exit(sigismember(&now, SIGSEGV) && sigismember(&now, SIGTRAP) ? 5 : 6);
    }
    CHECK(reap(child) == 5);
    // A genuine fault while blocked ends the process all the same.
    child = fork();
    if (!child) {
        CHECK(sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on, .sa_flags = SA_SIGINFO}, NULL) == 0);
        trapping(2);
        *(volatile int *)8 = 1;
        _exit(97);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    printf("kept at %lld\n", now_ns());
    return 0;
}

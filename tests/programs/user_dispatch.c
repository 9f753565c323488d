// Syscall user dispatch, as emulators use it: calls from code outside of a range become SIGSYS, which answers them.
#include "program.h"

#include <sys/prctl.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { OFF, ON };
enum { ALLOW, BLOCK };

static volatile char selector;
static int signals;
static siginfo_t last;

static void on_sys(int sig, siginfo_t *info, void *context) {
    ucontext_t *at = context;
    selector = ALLOW; // or the way back would be another such call
    signals += sig == SIGSYS;
    last = *info;
    at->uc_mcontext.gregs[REG_RAX] = 4711;
}

static long set(long mode, long from, long length, volatile char *selects) {
    errno = 0;
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, from, length, selects);
}

static void told(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void *in_thread(void *unused) {
    long pid = syscall(SYS_getpid); // a thread begins without it
    printf("a thread's: %d\n", pid == getpid());
    return unused;
}

static int ends_by(long selects) {
    pid_t child = fork();
    if (!child) {
        if (selects < 0) signal(SIGSYS, SIG_DFL);
        set(ON, 0, 0, &selector);
        selector = selects < 0 ? BLOCK : (char)selects;
        syscall(SYS_getpid);
        selector = ALLOW;
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    for (int i = 0; i < 200; i++) // so often that these calls would need no stop any more
        CHECK(getppid() > 0);
    told("set", set(ON, 0, 0, &selector));
    told("no such mode", set(7, 0, 0, NULL));
    told("off with a range", set(OFF, 1, 0, NULL));
    told("a range that ends before it begins", set(ON, 8, -8, NULL));
    told("a selector of the kernel's", set(ON, 0, 0, (char *)(1ul << 63)));
    long answers[3];
    for (int i = 0; i < 3; i++) {
        selector = i == 1 ? ALLOW : BLOCK;
        answers[i] = getppid();
    }
    printf("answers: %ld %d %ld, %d signals\n", answers[0], answers[1] == getppid(), answers[2], signals);
    printf("code %d, error %d, call %d of %x, at a call: %d\n", last.si_code, last.si_errno, last.si_syscall,
           last.si_arch, !memcmp((char *)last.si_call_addr - 2, "\x0f\x05", 2));
    pid_t child = fork();
    if (!child) { // neither does a child
        selector = BLOCK;
        _exit(getppid() == 4711);
    }
    printf("a child's: %d\n", reap(child));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    told("all code is left out", set(ON, 1, -2, &selector));
    selector = BLOCK;
    printf("left out: %d\n", getpid() > 0);
    selector = ALLOW;
    told("off", set(OFF, 0, 0, NULL));
    selector = BLOCK;
    printf("off: %d, %d signals\n", getppid() != 4711, signals);
    printf("ends by %d without a handler, by %d for a selector that means nothing, or goes on: %d\n",
           ends_by(-1), ends_by(5), ends_by(ALLOW));
    return 0;
}

// Signals: an alternate stack, SIGSEGV left by siglongjmp, SIGFPE repaired in the handler, values by
// sigqueue, masks and pending ones, sigsuspend, sigwaitinfo, EINTR and SA_RESTART, one handler interrupted by
// another.
#include "program.h"

#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf out;
static volatile sig_atomic_t on_alternate, usr1, usr2_inside;
static volatile int value_sum;
static char alternate[65536];

static void on_segv(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    char here;
    on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
    siglongjmp(out, info->si_addr == (void *)0x1230 ? 2 : 1);
}

static void on_fpe(int signal, siginfo_t *info, void *context) {
    (void)signal;
    ucontext_t *c = context;
    c->uc_mcontext.gregs[REG_RCX] = 3; // the divisor
    usr1 += info->si_code == FPE_INTDIV;
}

static void on_value(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    value_sum += info->si_value.sival_int;
}

static void on_usr1(int signal) {
    (void)signal;
    usr1++;
    raise(SIGUSR2);
}

static void on_usr2(int signal) {
    (void)signal;
    usr2_inside = usr1;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    CHECK(sigaction(signal, &action, NULL) == 0);
}

static void faults(void) {
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    CHECK(sigaltstack(&stack, NULL) == 0);
    handle(SIGSEGV, on_segv, SA_ONSTACK);
    volatile int faults = 0;
    for (int i = 0; i < 5; i++) {
        if (sigsetjmp(out, 1) == 0)
            *(volatile int *)0x1230 = 1;
        else
            faults++;
    }
    CHECK(faults == 5 && on_alternate);
    handle(SIGFPE, on_fpe, 0);
    uint32_t quotient, divisor = 0;
    __asm__ volatile("xor %%edx, %%edx; mov $42, %%eax; div %%ecx"
                     : "=&a"(quotient), "+c"(divisor)
                     :
                     : "edx", "cc");
    CHECK(quotient == 14 && usr1 == 1);
    printf("faults: %d on the alternate stack, 42 / 3 = %u\n", faults, quotient);
}

static void queue(void) {
    handle(SIGRTMIN, on_value, 0);
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    for (int i = 1; i <= 10; i++)
        CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN) && value_sum == 0);
    siginfo_t info;
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == 1);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(value_sum == 54);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    struct timespec soon = {0, 5000000};
    CHECK(sigtimedwait(&set, &info, &soon) == -1 && errno == EAGAIN);
    printf("queue: %d\n", value_sum);
}

static void nested(void) {
    usr1 = 0;
    signal(SIGUSR1, on_usr1);
    signal(SIGUSR2, on_usr2);
    raise(SIGUSR1);
    CHECK(usr1 == 1 && usr2_inside == 1);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(10);
        CHECK(kill(getppid(), SIGUSR1) == 0);
        _exit(0);
    }
    while (usr1 == 1)
        CHECK(sigsuspend(&none) == -1 && errno == EINTR);
    CHECK(reap(child) == 0);
    CHECK(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    puts("nested: good");
}

static void interrupted(void) {
    int fds[2];
    char c;
    CHECK(pipe(fds) == 0);
    for (int restart = 0; restart < 2; restart++) {
        struct sigaction action = {.sa_handler = on_usr2, .sa_flags = restart ? SA_RESTART : 0};
        CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
        pid_t child = fork();
        if (child == 0) {
            until_asleep(getppid());
            kill(getppid(), SIGUSR2);
            until_asleep(getppid()); // again
            CHECK(write(fds[1], "x", 1) == 1);
            _exit(0);
        }
        ssize_t n = read(fds[0], &c, 1);
        if (restart)
            CHECK(n == 1);
        else
            CHECK(n == -1 && errno == EINTR && read(fds[0], &c, 1) == 1);
        CHECK(reap(child) == 0);
    }
    puts("interrupted: once EINTR, once restarted");
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    faults();
    queue();
    nested();
    interrupted();
    return 0;
}

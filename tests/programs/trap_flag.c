// The trap flag, set by the program itself: it traces its own instructions, calls and trapped instructions among them.
#include "program.h"

#include <ucontext.h>
#include <x86intrin.h>

#define TF    0x100
#define SET   "pushf\n\torl $0x100, (%%rsp)\n\tpopf\n\t"
#define CLEAR "pushf\n\tandl $~0x100, (%%rsp)\n\tpopf\n\t"

static volatile int traps, others;
static volatile uint64_t sum; // of the distances from trap to trap
static uint64_t last;

static void on_trap(int sig, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t pc = (uint64_t)regs[REG_RIP];
    if (sig != SIGTRAP || info->si_code != TRAP_TRACE) others++;
    if (traps) sum = sum * 31 + (pc - last);
    last = pc;
    traps++;
}

static void begin(void) {
    traps = others = 0;
    sum = 0;
}

static void instructions(void) {
    long n = 0;
    begin();
    __asm__ volatile(SET "nop\n\tinc %0\n\tinc %0\n\t" CLEAR : "+r"(n) : : "cc", "memory");
    CHECK(n == 2 && traps == 6 && others == 0); // nop, inc, inc, pushf, and, popf
}

static void a_call(void) {
    long nr = SYS_getppid;
    begin();
    __asm__ volatile(SET "nop\n\tsyscall\n\tnop\n\tnop\n\t" CLEAR
                     : "+a"(nr)
                     :
                     : "rcx", "r11", "cc", "memory");
    CHECK(nr == getppid() && traps >= 6 && others == 0);
}

// What is pushed, and what a call leaves in r11, has the flag.
static void seen(void) {
    unsigned long flags, copy, nr = SYS_getppid;
    begin();
    __asm__ volatile(SET "pushf\n\tpop %0\n\tsyscall\n\tmov %%r11, %1\n\t" CLEAR
                     : "=&r"(flags), "=&r"(copy), "+a"(nr)
                     :
                     : "rcx", "r11", "cc", "memory");
    CHECK(flags & TF && copy & TF && others == 0);
    __asm__ volatile("pushf\n\tpop %0" : "=r"(flags));
    CHECK(!(flags & TF));
}

// The recorder carries rdtsc out. (Some machines lose the trap behind it, so nothing is counted.)
static void trapped(void) {
    unsigned low, high;
    begin();
    __asm__ volatile(SET "nop\n\trdtsc\n\tnop\n\t" CLEAR : "=a"(low), "=d"(high) : : "cc", "memory");
    CHECK(traps >= 5 && others == 0);
}

// In a function of the C library, often enough that its call needs no stop any more.
static void in_library(void) {
    pid_t parent = getppid();
    int wrong = 0;
    for (int i = 0; i < 300; i++)
        wrong += getppid() != parent;
    begin();
    __asm__ volatile(SET : : : "cc", "memory");
    for (int i = 0; i < 3; i++)
        wrong += getppid() != parent;
    __asm__ volatile(CLEAR : : : "cc", "memory");
    CHECK(!wrong && traps > 10 && others == 0);
    for (int i = 0; i < 300; i++)
        wrong += getppid() != parent;
    CHECK(!wrong);
}

// A copy of the process traces itself as well.
static void forked(void) {
    begin();
    __asm__ volatile(SET : : : "cc", "memory");
    pid_t child = (pid_t)syscall(SYS_fork);
    __asm__ volatile(CLEAR : : : "cc", "memory");
    if (!child) _exit(traps > 3 && !others ? 7 : 8);
    CHECK(reap(child) == 7);
    child = fork();
    if (!child) {
        signal(SIGTRAP, SIG_DFL);
        __asm__ volatile(SET "nop\n\tnop" : : : "cc", "memory");
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
    instructions();
    printf("%d traps, %llx\n", traps, (unsigned long long)sum);
    a_call();
    seen();
    trapped();
    in_library();
    forked();
    printf("traced at %lld\n", now_ns());
    return 0;
}

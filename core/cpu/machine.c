#include "core/cpu/machine.h"

#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

void cpu_describe(char *text, size_t size) {
    uint32_t a, b, c, d;
    char brand[49] = "unknown";
    if ((unsigned)__get_cpuid_max(0x80000000, NULL) >= 0x80000004u)
        for (uint32_t i = 0; i < 3; i++) {
            __cpuid(0x80000002 + i, a, b, c, d);
            const uint32_t words[4] = {a, b, c, d};
            memcpy(brand + i * 16, words, 16);
        }
    brand[48] = 0;
    snprintf(text, size, "%s", brand + strspn(brand, " "));
}

int cpu_pin(void) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) return -1;
    int cpu = sched_getcpu();
    if (cpu < 0 || !CPU_ISSET(cpu, &allowed))
        for (cpu = CPU_SETSIZE - 1; cpu > 0 && !CPU_ISSET(cpu, &allowed);)
            cpu--;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) < 0 ? -1 : cpu;
}

uint32_t cpu_xstate_size(void) {
    uint32_t a, b, c, d;
    if (__get_cpuid_max(0, NULL) < 0xd) return 512;
    __cpuid_count(0xd, 0, a, b, c, d);
    return b;
}

static volatile sig_atomic_t tsc_trapped;

static void step_over_rdtsc(int sig, siginfo_t *info, void *context) {
    (void)sig;
    (void)info;
    ucontext_t *at = context;
    at->uc_mcontext.gregs[REG_RIP] += 2; // 0F 31
    tsc_trapped = 1;
}

// Whether rdtsc traps in this thread, tried with one. The kernel's word is not enough: in a VM that runs its kernel unprivileged
// (PVM), PR_SET_TSC answers 0 and nothing traps. (In a child, as it was once, it took a millisecond of each start: a child
// must be scheduled on the recorder's one CPU.)
bool cpu_tsc_traps(void) {
    int before;
    sigset_t segv, mask;
    struct sigaction handler = {.sa_sigaction = step_over_rdtsc, .sa_flags = SA_SIGINFO}, old;
    if (syscall(SYS_prctl, PR_GET_TSC, &before, 0, 0, 0) < 0) return false;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    if (sigaction(SIGSEGV, &handler, &old) < 0) return false;
    pthread_sigmask(SIG_UNBLOCK, &segv, &mask);
    tsc_trapped = 0;
    bool taken = syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0;
    if (taken) {
        __asm__ volatile("rdtsc" ::: "rax", "rdx", "memory");
        taken = syscall(SYS_prctl, PR_SET_TSC, before, 0, 0, 0) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGSEGV, &old, NULL);
    return taken && tsc_trapped;
}

bool cpu_cpuid_faults(void) {
    enum { GET_CPUID = 0x1011, SET_CPUID = 0x1012 }; // arch_prctl
    // The leaf-1 ECX of a CPU with faulting says nothing; only the call does.
    long before = syscall(SYS_arch_prctl, GET_CPUID, 0);
    if (before < 0 || syscall(SYS_arch_prctl, SET_CPUID, 0) < 0) return false;
    return syscall(SYS_arch_prctl, SET_CPUID, before) == 0;
}

#include "core/cpu/machine.h"

#include <cpuid.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

// Whether the kernel takes a trap of this thread's: set, and at once set back. Between the two calls the thread
// executes nothing of what is trapped. (In a child of its own, as it was once, it took a millisecond of each start:
// a child must be scheduled on the recorder's one CPU.)
bool cpu_tsc_traps(void) {
    int before;
    if (syscall(SYS_prctl, PR_GET_TSC, &before, 0, 0, 0) < 0) return false;
    if (syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) < 0) return false;
    return syscall(SYS_prctl, PR_SET_TSC, before, 0, 0, 0) == 0;
}

bool cpu_cpuid_faults(void) {
    enum { GET_CPUID = 0x1011, SET_CPUID = 0x1012 }; // arch_prctl
    // The leaf-1 ECX of a CPU with faulting says nothing; only the call does.
    long before = syscall(SYS_arch_prctl, GET_CPUID, 0);
    if (before < 0 || syscall(SYS_arch_prctl, SET_CPUID, 0) < 0) return false;
    return syscall(SYS_arch_prctl, SET_CPUID, before) == 0;
}

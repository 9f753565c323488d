// What this CPU and kernel can do for record and replay.
#ifndef REFORK_CORE_CPU_MACHINE_H
#define REFORK_CORE_CPU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Vendor and model, for the user.
void cpu_describe(char *text, size_t size);
// Pins this process to one CPU, the one that it runs on (the scheduler puts a fresh program onto an idle
// one): a ptrace stop costs 2.5 us on one CPU and 35 and more across two. Returns the CPU, -1 with errno.
int cpu_pin(void);
// Bytes of NT_X86_XSTATE.
uint32_t cpu_xstate_size(void);
// Does PR_SET_TSC make rdtsc fault (it may be refused in a sandbox)? Does ARCH_SET_CPUID make cpuid fault
// (Intel since Ivy Bridge; not on AMD and not in most VMs)? Tried on this thread, and set back.
bool cpu_tsc_traps(void);
bool cpu_cpuid_faults(void);

#endif

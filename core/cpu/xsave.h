// What xsave, xsavec and xsaveopt store, without the part that differs from run to run. Which components a CPU
// calls "in use" (XINUSE: XGETBV with ECX 1, XSTATE_BV in the stored header, and whether xsavec and xsaveopt
// write a component at all) changes with each context switch and each exit of the virtual machine: seen here as
// 8 to 26 differing answers of 2,000 on AMD, and as a wrong memory digest in one of a thousand replays, left on
// the stack by ld.so's _dl_runtime_resolve_xsavec. A CPU may call every component in use (Intel SDM vol. 1,
// 13.6): so does this.
#ifndef REFORK_CORE_CPU_XSAVE_H
#define REFORK_CORE_CPU_XSAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// XCR0 of this CPU under this kernel; 0: it has no XSAVE.
uint64_t xsave_xcr0(void);

// Bytes of the area that an instruction with this request (EDX:EAX) may write, 576 at least.
size_t xsave_area_size(uint64_t request, bool compact);

// Writes into `area` (xsave_area_size bytes, filled with what is in memory now) what the instruction stores.
// `xstate`: NT_X86_XSTATE of the task (standard format, offsets by CPUID 0xd). false: that is too short.
bool xsave_store(uint64_t request, bool compact, const uint8_t *xstate, size_t xstate_size, uint8_t *area);

#endif

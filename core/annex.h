// The annex: the one region that refork maps into every recorded address space, at the same place in
// recording and in replay. 1.4 TiB below the end of user space: far below the mmap area (which begins at 0x7ffff7fff000,
// with address randomisation at most 1 TiB lower), above PIE images (0x5555...) and Go's heap (0xc000000000).
// The sanitizers divide the address space, and refuse to start when something lies where the program must have nothing.
// This place belongs to the program for all of them (LLVM 14 to 19, gcc 12, compiler-rt/lib: tsan_platform.h, asan_mapping.h,
// msan.h): ThreadSanitizer's HiAppMem from 0x7e8000000000, AddressSanitizer's HighMem from 0x10007fff8000, MemorySanitizer's
// app-3 from 0x700000000000 (its allocator takes the first 8 TiB).
#ifndef REFORK_CORE_ANNEX_H
#define REFORK_CORE_ANNEX_H

#include <stdint.h>
#include <stdbool.h>

#define ANNEX_BASE 0x7ea000000000ull
// The one page that a replay task is born with, below the annex: `syscall; int3`. Kept free in recordings.
#define REPLAY_PAGE (ANNEX_BASE - 0x100000)
// The ring of a replay's probes (core/probe.h), and behind it an address at which nothing is mapped. In no recording.
#define REPLAY_RING      (REPLAY_PAGE + 0x10000)
#define REPLAY_RING_SIZE 0x80000ull
// page 0: code, r-x: `syscall; int3` for injected calls
#define ANNEX_CODE (ANNEX_BASE + 0x0000)
// in the same page, recording only: a jump to itself, where a task is between two tracers (recorder/end/keeper.h)
#define ANNEX_PARKED (ANNEX_BASE + 0x0040)
// page 1: the PLT clock, rw-: u64 count, u64 limit
#define ANNEX_CLOCK (ANNEX_BASE + 0x1000)
#define ANNEX_COUNT (ANNEX_CLOCK + 0)
#define ANNEX_LIMIT (ANNEX_CLOCK + 8)
// in the same page, recording only: a struct kernel_sigaction for an injected rt_sigaction
#define ANNEX_ACTION (ANNEX_CLOCK + 0x100)
// stubs, r-x, 64 bytes each (131,072 of them)
#define ANNEX_STUBS      (ANNEX_BASE + 0x10000)
#define ANNEX_STUBS_SIZE 0x800000ull
#define ANNEX_STUB_SIZE  64
// scratch for out-buffers of blocking calls, rw-, recording only
#define ANNEX_SCRATCH      (ANNEX_BASE + 0x1000000)
#define ANNEX_SCRATCH_SIZE 0x1000000ull
#define ANNEX_SCRATCH_SLOT 0x40000ull // per task
// calls that the process makes by itself (core/calls/call_page.h), rwx
#define ANNEX_CALLS      (ANNEX_SCRATCH + ANNEX_SCRATCH_SIZE)
#define ANNEX_CALLS_SIZE 0x100000ull
#define ANNEX_END        (ANNEX_CALLS + ANNEX_CALLS_SIZE)

static inline bool annex_contains(uint64_t address) {
    return address >= ANNEX_BASE && address < ANNEX_END;
}

// A stub: mov count,%r11; inc %r11; mov %r11,count; cmp limit,%r11; jae trap; xor %r11d,%r11d; jmp *target;
// trap: int3; xor %r11d,%r11d; jmp *target; target: .quad. It leaves r11 and the flags the same whatever the limit was.
// At a stop in a stub rsp points to the caller's return address; the last 8 bytes of the stub hold the
// target. At the trap r11 and the arithmetic flags still depend on the limit; behind it `xor %r11d,%r11d`
// sets them. The canonical values are what that leaves: r11 0, ZF and PF.
#define ANNEX_TRAP_FLAGS(eflags) (((eflags) & ~0x8d5ull) | 0x44)

#endif

// Which memory of its caller a call writes, and which content it reads: the range columns of core/calls/syscalls.def.
#ifndef REFORK_CORE_CALLS_SYSCALL_RANGES_H
#define REFORK_CORE_CALLS_SYSCALL_RANGES_H

#include "core/calls/syscalls.h"
#include "core/tracee.h"

// Where a call's pointer argument leads.
enum range_dir { RANGE_OUT, RANGE_IN, RANGE_INOUT };

// One range of the caller's memory that the kernel writes (OUT, INOUT) or reads as *content* (IN: write,
// send).
struct syscall_range {
    uint8_t dir;
    // Index of the argument register that holds `address` directly, -1 when reached through memory.
    int8_t arg;
    uint64_t address;
    uint64_t size; // at entry: most that the kernel may write; at exit: what it did write
};

#define SYSCALL_RANGES 1152 // an iovec of IOV_MAX entries fits

// The ranges of call `nr` with `args`. `result`: NULL at entry (sizes are the capacities), else the result at
// exit (sizes are what was written; a failed call mostly wrote nothing, the exceptions have rows that say
// so). Returns the number of ranges (at most SYSCALL_RANGES; longer iovecs are merged into nothing: returns
// -2), or -1 when the call with these arguments is one that no row describes (unknown ioctl, fcntl or prctl
// request...): it is refused then.
int syscall_ranges(long nr, const uint64_t args[6], const int64_t *result, tracee_reader read, void *context,
                   struct syscall_range *out);

#endif

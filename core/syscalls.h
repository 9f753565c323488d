// The syscall table: one row of core/syscalls.def for every x86-64 number.
#ifndef REFORK_CORE_SYSCALLS_H
#define REFORK_CORE_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What happens with the call in the recording and in replay.
enum syscall_policy {
    POLICY_EMULATE, // runs in the recording; replay writes its out-arguments and result
    POLICY_MEMORY,  // changes the address space: replay executes its like with forced addresses
    POLICY_TASK,    // births, deaths, exec, sigreturn: the engine knows each
    POLICY_FAKE,    // never reaches the kernel: the recorder answers `answer` itself (rseq: -ENOSYS)
    POLICY_REFUSE,  // never reaches the kernel: answered -`answer`, said once on stderr and in the trace
};

enum {
    SYS_MAY_BLOCK = 1, // may sleep in the kernel for an unbounded time
    SYS_NO_RETURN = 2, // exit, exit_group
};

// Where a call's pointer argument leads.
enum range_dir { RANGE_OUT, RANGE_IN, RANGE_INOUT };

// One range of the caller's memory that the kernel writes (OUT, INOUT) or reads as *content* (IN: write,
// send).
struct syscall_range {
    uint8_t dir;
    int8_t
        arg; // index of the argument register that holds `address` directly, -1 when reached through memory
    uint64_t address;
    uint64_t size; // at entry: most that the kernel may write; at exit: what it did write
};

#define SYSCALL_RANGES 1152 // an iovec of IOV_MAX entries fits

// Reads the tracee's memory: returns true when all `len` bytes could be read.
typedef bool (*tracee_reader)(void *context, uint64_t address, void *buffer, size_t len);

struct syscall_row {
    const char *name;
    uint8_t policy;
    uint8_t flags;
    int answer;   // FAKE: the result; REFUSE: the errno (positive)
    uint8_t args; // number of arguments
};

// The row; a number outside the table gives a REFUSE row with ENOSYS named "syscall_N" (static buffer per
// number is not needed: name "unknown").
const struct syscall_row *syscall_row(long nr);
const char *syscall_name(long nr); // "read", or "syscall_999"

// The ranges of call `nr` with `args`. `result`: NULL at entry (sizes are the capacities), else the result at
// exit (sizes are what was written; a failed call mostly wrote nothing, the exceptions have rows that say
// so). Returns the number of ranges (at most SYSCALL_RANGES; longer iovecs are merged into nothing: returns
// -2), or -1 when the call with these arguments is one that no row describes (unknown ioctl, fcntl or prctl
// request...): it is refused then.
int syscall_ranges(long nr, const uint64_t args[6], const int64_t *result, tracee_reader read, void *context,
                   struct syscall_range *out);

// For this call with these arguments: what to answer without running it, if anything. Returns true and
// *answer (the raw result) for FAKE and REFUSE rows and for refused requests of multiplexed calls
// (prctl(PR_SET_SECCOMP), ioctl of an unknown request -> -ENOTTY, sched_setaffinity -> 0,
// prctl(PR_SET_TSC)...). *said: whether the user should be told (refusals).
bool syscall_answer(long nr, const uint64_t args[6], int64_t *answer, bool *said);

// May this call, with these arguments, sleep for an unbounded time? (futex WAKE does not; FUTEX_WAIT does;
// poll with timeout 0 does not; fcntl only F_SETLKW...)
bool syscall_may_block(long nr, const uint64_t args[6]);

// "openat(AT_FDCWD, 0x7ffe.., 0x80000)" style: plain, numbers in hex where large; enough for messages and
// dump.
void syscall_format(long nr, const uint64_t args[6], char *buffer, size_t size);

#endif

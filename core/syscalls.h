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

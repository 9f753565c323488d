// The syscall table: one row of core/calls/syscalls.def for every x86-64 number.
#ifndef REFORK_CORE_CALLS_SYSCALLS_H
#define REFORK_CORE_CALLS_SYSCALLS_H

#include "core/tracee.h"

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

// What a call that sleeps waits for.
enum syscall_wait {
    WAITS_NOT,
    WAITS_FUTEX,  // a futex's word, or a lock that the kernel keeps there
    WAITS_CHILD,  // the end of a child
    WAITS_FD,     // the file that the first argument names: bytes in it, or room
    WAITS_POLL,   // any of several files, in their three ways of naming them
    WAITS_SELECT, //
    WAITS_EPOLL,  //
    WAITS_FLOCK,  // a lock of a file
    WAITS_FCNTL,  // a lock of a part of a file (and F_SETLKW alone: syscall_may_block())
    WAITS_SYSV,   // semaphores or messages of System V
    WAITS_TIME,   // nothing but time
    WAITS_SIGNAL, // a signal
    WAITS_VFORK,  // the new child's exec or end
    WAITS_AGAIN,  // what the call waited for that this one goes on with
    WAITS_ELSE,   // something else
    SYSCALL_WAITS
};

// What a call does that several calls do alike.
enum syscall_effect {
    EFFECT_ELSE,      // nothing of these
    EFFECT_KNOWN,     // tells what the program knows already
    EFFECT_CLOCK,     // tells the time
    EFFECT_YIELD,     //
    EFFECT_BIRTH,     // makes a task
    EFFECT_EXEC,      //
    EFFECT_END,       // ends the task and does not return
    EFFECT_REGISTERS, // changes other registers than rax
    EFFECT_OPEN,      // opens a file by its name
    EFFECT_NEW_FD,    // its result is a descriptor of something that has no name
    EFFECT_NEW_PAIR,  // stores two descriptors in memory
    EFFECT_WRITE,     // writes the program's bytes into a file
    EFFECT_COPY,      // from file to file, inside the kernel
    EFFECT_PROTECT,   // changes the protection of mappings
};

struct syscall_row {
    const char *name;
    uint8_t policy;
    uint8_t args;    // number of arguments
    int answer;      // FAKE: the result; REFUSE: the errno (positive)
    uint32_t effect; // the two columns as core/calls/syscalls.c packs them; ask the functions below
    uint64_t wait;
};

// The row; a number outside the table has a REFUSE row with ENOSYS, named "unknown".
const struct syscall_row *syscall_row(long nr);
// "read", or "syscall_999": good to the end of the block that asks, where its room is.
enum { SYSCALL_NAME = 32 };
#define syscall_name(nr) syscall_name_in((nr), (char[SYSCALL_NAME]){0})
const char *syscall_name_in(long nr, char room[SYSCALL_NAME]);

// For this call with these arguments: what to answer without running it, if anything. Returns true and
// *answer (the raw result) for FAKE and REFUSE rows and for refused requests of multiplexed calls
// (prctl(PR_SET_SECCOMP), ioctl of an unknown request -> -ENOTTY, sched_setaffinity -> 0,
// prctl(PR_SET_TSC)...). *said: whether the user should be told (refusals).
bool syscall_answer(long nr, const uint64_t args[6], int64_t *answer, bool *said);

enum syscall_wait syscall_wait(long nr);
// Does the call itself end its wait at some time? False of a call without a timeout, and where the timeout says "never".
bool syscall_has_timeout(long nr, const uint64_t args[6]);
// Is the call a way to sleep and nothing else: nanosleep, a poll or select of no files?
bool syscall_only_sleeps(long nr, const uint64_t args[6]);
// The child that a call of WAITS_CHILD waits for; 0: any of several.
int syscall_awaited_child(long nr, const uint64_t args[6]);

enum syscall_effect syscall_effect(long nr);
// What the call's effect is on: the descriptor (WRITE, COPY) or the address (OPEN: the path, NEW_PAIR: the pair).
uint64_t syscall_effect_on(long nr, const uint64_t args[6]);
// The flags of an OPEN, the offset of a WRITE or COPY. False: the call has none (creat; a write at the file's position), or
// it cannot be read.
bool syscall_effect_value(long nr, const uint64_t args[6], tracee_reader read, void *context,
                          uint64_t *value);

// May this call, with these arguments, sleep for an unbounded time? (futex WAKE does not; FUTEX_WAIT does;
// poll with timeout 0 does not; fcntl only F_SETLKW...)
bool syscall_may_block(long nr, const uint64_t args[6]);

// "openat(AT_FDCWD, 0x7ffe.., 0x80000)" style: plain, numbers in hex where large; enough for messages and
// dump.
void syscall_format(long nr, const uint64_t args[6], char *buffer, size_t size);

#endif

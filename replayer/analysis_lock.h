// From a stack that hangs in a futex call to the lock it wants: one row per kind of lock.
#ifndef REFORK_REPLAYER_ANALYSIS_LOCK_H
#define REFORK_REPLAYER_ANALYSIS_LOCK_H

#include "replayer/verdict.h"

#include <stdbool.h>
#include <stdint.h>

// How to read who holds it out of the changes of its state word.
enum lock_rule {
    RULE_NONE,      // nobody holds such a thing, or it is not known who
    RULE_WORD,      // 0 is free; the transition from 0 is the acquire, further changes are waiters' marks
    RULE_OWNER,     // the low 30 bits are the owner's TID (robust and PI mutexes)
    RULE_RWLOCK,    // bit 0 write phase, bit 1 write-locked, bit 2 readers wait, readers from bit 3
    RULE_SEMAPHORE, // 0 is held: the last 1 -> 0 took it
    RULE_GUARD,     // bit 8 is held (a C++ function-static's guard)
};

struct lock_ref {
    enum lock_rule rule;
    const char *kind;     // as in struct finding_lock
    const char *function; // the lock function that waits, or NULL
    bool owner;           // pthread mutex: the owner's TID is at base + 8
    bool in_fork;         // the wait is inside fork(): in a handler, or in libc's own part of it
    bool in_libc;         // the lock is private to libc
    uint64_t base;        // of the lock object; 0: none
    uint64_t word;        // the state word that is watched, 4 bytes
};

// What the task waits for, that is in futex(args) with this stack. Reads memory through v.
void lock_recognise(const struct frame *frames, size_t n, const uint64_t args[6], const struct view *v,
                    struct lock_ref *out);
// Is this value of the state word one that somebody holds the lock with?
bool lock_is_held(enum lock_rule rule, uint32_t value);

// Is the stack inside fork()?
bool stack_in_fork(const struct frame *frames, size_t n);
// The thread's start routine: the outermost frame that is not the C library's; "" if there is none.
void stack_start_routine(const struct stack *s, char *out, size_t size);

#endif

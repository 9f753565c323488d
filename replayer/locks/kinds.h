// From a stack that hangs in a futex call to the lock it wants: one row per kind of lock.
#ifndef REFORK_REPLAYER_LOCKS_KINDS_H
#define REFORK_REPLAYER_LOCKS_KINDS_H

#include "replayer/locks/layout.h"
#include "replayer/names/stack.h"

#include <stdbool.h>
#include <stdint.h>

// The kinds of kinds.def, with the JSON's names.
enum lock_kind {
#define KIND(kind, name) KIND_##kind,
#include "replayer/locks/kinds.def"
    LOCK_KINDS
};
const char *lock_kind_name(enum lock_kind kind);

// What kind of wait it is when nobody holds anything: who would end it.
enum lock_wants {
    WANTS_LOCK, // for a holder
    WANTS_COND,
    WANTS_COND_LEAVE, // pthread_cond_destroy or _signal: until the waiters of an older group have left
    WANTS_BARRIER,
    WANTS_POST,  // a semaphore
    WANTS_ONCE,  // an initialiser that somebody else runs
    WANTS_VALUE, // a word that somebody changes: futures, latches, std::atomic::wait, GCond, plain futexes
    WANTS_TEAM,  // libgomp
    WANTS_AIO,
    WANTS_JOIN,
    WANTS_PARK, // Rust: a channel, Condvar or park; the word is the waiter's own
    WANTS_GO,
};

struct lock_ref {
    bool polled; // not waited for in the kernel, but looked at again and again
    enum lock_rule rule;
    enum lock_kind kind;
    const char *function; // the lock function that waits, or NULL
    enum lock_wants wants;
    uint32_t mask;  // bits of the word that count; 0: all
    uint64_t size;  // of the object, from base
    uint64_t mutex; // WANTS_COND: the mutex that goes with it; 0: not known
    bool owner;     // pthread mutex: the owner's TID is at base + 8
    bool bare;      // a futex that nobody's function explains: a lock if an atomic instruction took it
    bool in_fork;   // the wait is inside fork(): in a handler, or in libc's own part of it
    bool in_libc;   // the lock is private to libc
    uint64_t base;  // of the lock object; 0: none
    uint64_t word;  // the state word that is watched, 4 bytes
    // In memory that processes share: the state word's place there, the same for all of them.
    bool shared;
    uint64_t identity, offset;
};

// The aligned word that `address` is in, of which nothing else is known.
static inline struct lock_ref lock_plain_word(uint64_t address) {
    return (struct lock_ref){.word = address & ~3ull};
}

// What the task waits for, that is in futex(args) with this stack and stack pointer. Reads memory through v.
void lock_recognise(const struct frame *frames, size_t n, const uint64_t args[6], const struct view *v,
                    uint64_t sp, struct lock_ref *out);
// What the task waits for, that looks at this word (`size` bytes) again and again.
void lock_recognise_polled(const struct frame *frames, size_t n, uint64_t address, uint64_t value,
                           unsigned size, struct lock_ref *out);

#endif

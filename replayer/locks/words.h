// Lock words: from the accesses to a word in memory to who holds it. Pure; replayer/locks/history.c feeds it.
#ifndef REFORK_REPLAYER_LOCKS_WORDS_H
#define REFORK_REPLAYER_LOCKS_WORDS_H

#include "core/array.h"
#include "replayer/locks/kinds.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lock_family {
#define FAMILY(family, kind, rule) LOCK_##family,
#include "replayer/locks/kinds.def"
    LOCK_FAMILIES,
    LOCK_NONE = LOCK_FAMILIES, // words of conditions and barriers: nobody holds them
};
enum lock_kind lock_family_kind(int family);
bool lock_is_rwlock(int family);
const char *lock_family_name(int family);

// Where a word is: in an address space, or in memory that processes share.
struct word_place {
    uint32_t space;    // index of the address space, or LOCK_SHARED
    uint64_t identity; // of the object, whose offset `address` then is; 0: an address space
    uint64_t address;
};

// An access to a word.
struct access_at {
    uint64_t event;   // in whose slice it is
    uint32_t ordinal; // among the accesses to the word in that slice, from 1; 0: no access was seen
};

struct lock_holder {
    int tid;                // 0: not seen who
    bool reader, inherited; // inherited: taken before the fork that made this address space
    uint64_t event;         // in whose slice it was taken
    uint64_t asked;         // in whose slice its own access is: earlier, of a rwlock that it had to wait for
    uint32_t ordinal;       // among the accesses to the word in that slice, from 1; 0: no access was seen
    uint32_t pc;            // index of the place, LOCK_NO_PLACE
    uint64_t time_us;
    uint32_t calls; // syscalls made while held
    int32_t caller; // where the program took it: offset in the strings; LOCK_CALLER_*
};
#define LOCK_CALLER_NOT_ASKED 0 // the strings' first is never a caller
#define LOCK_CALLER_UNKNOWN   (-1)

static inline struct access_at lock_asked_at(const struct lock_holder *h) {
    return (struct access_at){h->asked, h->ordinal};
}

// A time in which a task held a lock. Those that begin and end in one slice are counted only: no event is in them.
struct lock_span {
    uint32_t lock;
    uint64_t to;   // the event in whose slice it was released; 0: held until the end
    bool between;  // the release was not an atomic instruction: somewhere in the slice of `to`
    bool by_other; // released by another task
    struct lock_holder holder;
};

struct lock_calls {
    int nr;
    uint32_t count;
};

struct lock {
    uint32_t space;   // index of the address space, or LOCK_SHARED
    uint64_t address; // in memory that processes share: offset, and `identity` of the object
    uint64_t identity;
    uint8_t family; // enum lock_family
    uint8_t size;
    bool confirmed; // it behaved like a lock; else nothing is said about it
    uint64_t value; // as last seen
    uint64_t done;  // not 0: its holder left this value behind, as a once does
    bool of_libc;   // taken by code of the C library
    bool owner;     // the low 30 bits are the holder's TID (robust, PI)
    struct lock_holder *holders;
    uint32_t holder_count;
    struct lock_holder *claims; // of a rwlock: who waits to be let in
    uint32_t claim_count;
    // counted
    uint64_t acquired, failed, waits, marks, released, released_by_other, between, counted;
    uint64_t spun;  // times that a task tried again and again in one slice
    uint64_t tried; // taken by instructions that find out whether it was free
    uint64_t longest_wait, longest_wait_us, longest_wait_from; // events
    int longest_waiter;
    int waiters[8]; // the first of them
    uint32_t waiter_count;
    struct lock_span longest; // hold; to and holder.event differ by the most
    uint64_t longest_us, held_events;
    struct lock_calls calls[6]; // made while held, the first kinds of them
    uint64_t call_count;
    uint64_t first_event, last_event;
    struct lock_holder taken; // the first time; event 0: never
    struct lock_holder still; // who holds it at the end, the one that took it first
    bool still_held;
    // of this room
    uint64_t slice; // event of the accesses counted in `ordinal`
    uint32_t ordinal;
    uint64_t spin_event; // where the latest tries that failed are
    uint32_t spins;      // so many in a row
    uint32_t last_space; // where it was accessed last: index, and the address there
    uint64_t last_address;
    bool open;     // in the list of those that may be held
    bool watched;  // its value is looked at after every event
    bool by_stack; // it lies in no variable: who took it knew its name
    int32_t name;  // offset in the strings, -1: none
};
#define LOCK_SHARED   0xffffffffu
#define LOCK_NO_PLACE 0xffffffffu

enum lock_op_kind { LOCK_OP_ACQUIRE, LOCK_OP_TRY_FAILED, LOCK_OP_WAIT, LOCK_OP_RELEASE, LOCK_OP_MARK };
struct lock_op {
    uint32_t lock;
    uint8_t kind; // enum lock_op_kind
    bool between; // seen by its effect only, not by its instruction
    int tid;
    uint32_t ordinal, pc;
    uint64_t event;
    uint64_t before, after;
};

// What happened to a word, in program order.
struct lock_access {
    uint64_t event; // the slice
    int tid;
    uint32_t pc;
    uint64_t before, after;
    uint64_t fs_base;  // of the task
    uint64_t time_us;  // of the last event
    uint8_t operation; // enum atomic_operation; ATOMIC_NONE: a plain store
    bool failed;       // cmpxchg that found another value
    bool of_libc;      // the code is the C library's
    bool blind;        // the code does not look at `before`: a store
    bool unseen;       // only the effect was seen, at the end of the slice
};

struct lock_words {
    struct lock *locks;
    size_t count;
    struct hash by_place; // of locks
    struct lock_span *spans;
    size_t span_count;
    struct lock_op *ops;
    size_t op_count;
    bool ops_dropped; // more than LOCK_OPS_MAX
    bool dropped;     // more words or spans than there is room for: not everything is known
    uint32_t *open;   // locks that may be held
    size_t open_count;
};
#define LOCK_OPS_MAX   (2u << 20)
#define LOCK_SPANS_MAX (4u << 20)
#define LOCK_WORDS_MAX (1u << 19)

void lock_words_release(struct lock_words *w);
// NULL: no lock is known there.
struct lock *lock_words_find(const struct lock_words *w, struct word_place place);
// NULL: there are too many.
struct lock *lock_words_add(struct lock_words *w, struct word_place place, int family, int size,
                            uint64_t value);
// Could this access to a word that no lock function names be the first of a lock's: free (0) to held?
bool lock_may_begin(const struct lock_access *a);
void lock_accessed(struct lock_words *w, struct lock *l, const struct lock_access *a);
// Takes and frees a lock without a word (LOCK_CALLS).
void lock_call_acquired(struct lock_words *w, struct lock *l, const struct lock_access *a);
void lock_call_released(struct lock_words *w, struct lock *l, const struct lock_access *a);
// A syscall of `tid`, which may hold l.
void lock_called(struct lock *l, int tid, int nr);
// `tid` begins to wait for it in the slice of `event`.
void lock_wait_begins(struct lock_words *w, struct lock *l, int tid, uint64_t event);
// A wait that has ended, from event to event, and so many microseconds long.
void lock_wait_ended(struct lock *l, int tid, uint64_t from, uint64_t to, uint64_t us);
// A copy of `from` in another address space, held as it is.
void lock_inherited(struct lock_words *w, size_t from, uint32_t space, uint64_t event);
// Its memory, or its space, is gone at `event`.
void lock_gone(struct lock_words *w, struct lock *l, uint64_t event);
// The end: closes spans, decides which words are locks, drops what the others left.
// roots: for each space the one that it is a copy of, over all forks.
void lock_words_finish(struct lock_words *w, const uint32_t *roots);

bool lock_value_held(int family, uint64_t value);

#endif

// Who took a lock: the last free -> held transitions of its state word, found by re-execution with a hardware
// watchpoint in windows that grow backwards from the event in question. Of a word that is written too often for that, or where the
// page around it is and stands for a watchpoint, the last accesses are found without stopping at any (locks/follow.h), and the word
// is read at those only. The last *writer* would be wrong: a
// failed cmpxchg, a store of the same value and a waiter's mark (1 -> 2) write too.
#ifndef REFORK_REPLAYER_VERDICT_HOLDER_H
#define REFORK_REPLAYER_VERDICT_HOLDER_H

#include "replayer/engine/watchpoint.h"
#include "replayer/verdict/history.h"
#include "replayer/locks/kinds.h"

enum {
    HOLDER_OTHERS = 16,
    WORD_CHANGES_MAX = 20000, // that are looked at; a change costs 20 us and more
};

// A lock, and where to look for what is done to its state word. In memory that processes share the writes of all of them
// are seen, and `space` says nothing.
struct watched_lock {
    struct timeline *timeline;
    const struct history *history;
    size_t space;
    const struct lock_ref *ref;
};

// One acquire. A rwlock may have many readers at once: one of them that cannot come back is chosen, the others are
// listed.
struct holder {
    int tid;        // 0: nobody known
    size_t life;    // of the holder at the acquire; NONE
    uint64_t event; // the write is in the slice that ends at this event
    // Among the changes of the word in that slice, from 1; skipped: behind the notes that it says.
    unsigned ordinal;
    bool skipped;
    uint64_t skip;
    bool by_kernel; // the kernel handed the lock over (PI)
    size_t space;   // where it was taken
    // The fork that carried the held lock from `space` towards the waiter: NONE if there was none.
    size_t child_space;
    uint64_t fork;
    bool held; // at the event in question the lock is held by somebody
    struct holder_other {
        int tid;
        uint64_t event;
        unsigned ordinal;
        bool skipped;
        uint64_t skip;
    } others[HOLDER_OTHERS]; // more readers
    size_t other_count;
};

// The holder at `until` (the state right after that event), followed back through forks. 0 or -1. tid stays 0 when
// nobody holds it, or the acquire was not seen. Moves the timeline.
int holder_find(const struct watched_lock *lock, uint64_t until, struct holder *out, struct rf_error *err);

// What wrote a word: an instruction that takes a lock (xchg, cmpxchg, bts, or), one that counts, another one.
enum write_sort { WRITE_PLAIN, WRITE_EXCHANGE, WRITE_COUNT };

struct write_facts {
    enum write_sort sort;
    uint32_t value; // that it wrote
    // Not on the stack mapping that has the thread's TLS: a fiber, or a signal's own stack.
    bool foreign_stack;
};

// The holder's stack at the acquire (frames from malloc), and what wrote the word (or NULL): in the space of `who`, not
// in that of `lock`. No frames if the page is written too often to find the write. Moves the timeline.
int holder_stack(const struct watched_lock *lock, const struct holder *who, struct stack *out,
                 struct write_facts *facts, struct rf_error *err);

// The event in whose slice the lock became free again after `from`; 0 when it never did. Moves the timeline.
int holder_release(const struct watched_lock *lock, uint64_t from, uint64_t *event, struct rf_error *err);

// Calls `each` for every change of the state word in `span` (its mask counts), until it returns false; for WORD_CHANGES_MAX + 1 at
// most. Moves the timeline. Where a protected page stands for a watchpoint and is written often, what is changed between two atomic
// accesses to the word is one change.
struct word_change {
    int tid;
    uint64_t event;   // the write is in the slice that ends at this event
    unsigned ordinal; // among the changes in that slice, from 1
    bool skipped;     // ... behind the notes that `skip` says, as in struct holder
    uint64_t skip;
    uint32_t from, to;
    bool by_kernel;
    enum write_sort sort;
};
// Who changed it so, in `space`: for holder_stack.
struct holder holder_of_change(const struct word_change *c, size_t space);
typedef bool (*each_change)(void *context, const struct word_change *c);
int holder_changes(const struct watched_lock *lock, struct event_span span, each_change each, void *context,
                   struct rf_error *err);

// The stack at a write that was hit; returns the number of frames.
size_t holder_frames(struct symbols *s, struct replay *r, const struct watch_hit *hit, struct frame *out,
                     size_t max);

// Reads 4 bytes in the address space at the timeline's position.
bool holder_word(struct timeline *t, const struct history *h, size_t space, uint64_t address,
                 uint32_t *value);

#endif

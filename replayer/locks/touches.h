// Words that atomic instructions work on outside of the functions of known locks: tickets, bits of a word with other
// content, counts of permits. What behaves like a lock is in words.h; of these it is only known who touches them.
#ifndef REFORK_REPLAYER_LOCKS_TOUCHES_H
#define REFORK_REPLAYER_LOCKS_TOUCHES_H

#include "core/array.h"

// All accesses of one task to one word at one place; in the order of their first.
struct lock_touch {
    uint64_t address;
    uint64_t first, last; // events in whose slices they are
    uint64_t changes;     // how often the word was another one behind it
    uint32_t space, pc;   // indices, as in struct lock_op
    int32_t name;         // offset in the strings, -1: none
    int tid;
};

struct lock_touches {
    struct lock_touch *v;
    size_t count;
    struct hash by_place; // of v
};
#define LOCK_TOUCHES_MAX (1u << 18)

// The row of that task, word and place, made when there is none yet (then its `first` is 0); NULL: there are too many.
struct lock_touch *lock_touches_at(struct lock_touches *all, uint32_t space, uint64_t address, uint32_t pc,
                                   int tid);
void lock_touches_release(struct lock_touches *all);

#endif

// Where the memory of a lock without a name comes from: the last call of an allocator before a given event whose block
// has the lock in it. Found by re-execution with breakpoints on the allocator's functions, whichever module has them
// (one that a program preloads or links as well as libc's), and where they return to.
#ifndef REFORK_REPLAYER_VERDICT_ALLOCATION_H
#define REFORK_REPLAYER_VERDICT_ALLOCATION_H

#include "replayer/verdict/history.h"
#include "replayer/verdict/verdict.h"

// What is asked for: the memory at `address` as it was at `until`, in `space` or, before the fork that made it, in its
// parents'. `initialised`: the last event before `until` in which what lies there was made, and so later than the
// allocation; 0: not known, then all calls up to `until` must be looked at.
struct allocated {
    size_t space;
    uint64_t address;
    uint64_t until, initialised;
};

// Its allocation; *out from malloc, NULL: none was seen, or it was freed since, or not every call can be seen. 0 or -1,
// also when the timeline's deadline passes. Moves the timeline.
int allocation_find(struct timeline *t, const struct history *h, const struct allocated *what,
                    struct lock_allocation **out, struct rf_error *err);
void allocation_free(struct lock_allocation *a); // NULL is fine

#endif

// Who took a lock: the stack at an access to it, which no pass keeps. Re-executes the slice that the access is in.
#ifndef REFORK_REPLAYER_LOCKS_TAKERS_H
#define REFORK_REPLAYER_LOCKS_TAKERS_H

#include "replayer/locks/history.h"

// The stack at an access to `l`: re-executes its slice. Frames from malloc; none when it was no instruction that stops
// (ordinal 0). Moves the timeline.
int lock_history_stack(struct timeline *t, const struct lock *l, struct access_at at,
                       const struct lock_functions *functions, struct stack *out, struct rf_error *err);

// A time at which a lock was taken.
struct lock_taker {
    uint32_t lock;              // index
    struct lock_holder *holder; // of `lock`, in its words
};

// Fills holder->caller of all, in one way through the recording, and names locks that no variable has by the stack that
// took them ("Config::mutex_"). What is known already is not looked for again. Sorts `v`. 0 or -1. Moves the timeline.
int lock_history_takers(struct timeline *t, struct lock_history *h, const struct lock_functions *functions,
                        struct lock_taker *v, size_t n, struct rf_error *err);

#endif

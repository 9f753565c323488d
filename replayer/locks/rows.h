// The locks of a recording as people count them: a lock and its copies in forked children are one.
#ifndef REFORK_REPLAYER_LOCKS_ROWS_H
#define REFORK_REPLAYER_LOCKS_ROWS_H

#include "replayer/locks/takers.h"

struct lock_row {
    const struct lock **copies; // one for each process that used it, in their order; others only inherited it
    size_t count;
    int32_t name; // offset in the strings, -1: none
    uint64_t acquired, failed, waits, waiters;
    const struct lock
        *held; // the copy with the longest hold; NULL: nothing was held from one event to another
    const struct lock *waited; // the copy with the longest wait; NULL
    const struct lock *still;  // the first copy that is held at the end; NULL
};

// Ranked: those that were waited for, then those that are still held, then those that were held longest. What a child only
// inherited and never touched is left out. From malloc, see lock_rows_free.
struct lock_row *lock_rows(const struct lock_history *h, size_t *count);
void lock_rows_free(struct lock_row *rows, size_t count);

// Finds out who took the locks of these rows, and what locks in no variable are called (lock_history_takers).
int lock_rows_ask(struct timeline *t, struct lock_history *h, const struct lock_functions *functions,
                  struct lock_row *rows, size_t count, struct rf_error *err);

// The same of the first rows: of those every report tells it, and only theirs is kept with the history, so that no report
// depends on what was asked before.
#define LOCK_ROWS_FIRST 20
int lock_rows_ask_first(struct timeline *t, struct lock_history *h, const struct lock_functions *functions,
                        struct rf_error *err);

// The longest hold, in events; what is still held was so for all of its time.
uint64_t lock_longest_hold(const struct lock *l);

#endif

// A wait for what a vanished thread says of itself: the waiting code reads memory of that thread's own (its stack, its thread_local
// data) before it sleeps. liburcu's synchronize_rcu reads each reader's counter so.
#ifndef REFORK_REPLAYER_VERDICT_THREAD_READS_H
#define REFORK_REPLAYER_VERDICT_THREAD_READS_H

#include "replayer/verdict/case.h"

// Which of these threads (TIDs), that vanished at `fork`, has memory that w's task read on its way into the futex call that it
// sleeps in? Sets read[i]. 0 or -1; it may leave all false because the way could not be seen. Moves the timeline.
int thread_reads_find(struct analysis *a, const struct waiter *w, uint64_t fork, const int *tids,
                      size_t count, bool *read, struct rf_error *err);

#endif

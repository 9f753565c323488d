// A loop that tries a lock again and again: which one.
#ifndef REFORK_REPLAYER_VERDICT_TRIED_LOCK_H
#define REFORK_REPLAYER_VERDICT_TRIED_LOCK_H

#include "replayer/verdict/case.h"

// When the loop that w polls in calls pthread_mutex_trylock or the like, the lock that it never gets becomes w->ref. Leaves
// the timeline where the task is stuck. 0 or -1.
int tried_lock_resolve(struct analysis *a, struct waiter *w, struct rf_error *err);

#endif

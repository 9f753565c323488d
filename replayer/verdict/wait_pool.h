// libstdc++'s pool of futex words, on which several objects wait: which of them a task waits for.
#ifndef REFORK_REPLAYER_VERDICT_WAIT_POOL_H
#define REFORK_REPLAYER_VERDICT_WAIT_POOL_H

#include "replayer/verdict/case.h"

// When w sleeps on a word of the pool, the object that it waits for becomes w->ref, if it can be told. Leaves the timeline
// where the task is stuck.
int wait_pool_resolve(struct analysis *a, struct waiter *w, struct rf_error *err);

#endif

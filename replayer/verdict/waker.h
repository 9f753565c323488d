// Who would have ended a wait that nobody's lock explains.
#ifndef REFORK_REPLAYER_VERDICT_WAKER_H
#define REFORK_REPLAYER_VERDICT_WAKER_H

#include "replayer/verdict/case.h"

// Fills wakers, fork and fork_space.
int wakers_find(struct analysis *a, struct waiter *w, struct rf_error *err);
// Is the semaphore of w posted by tasks that did not take it? Fills posts.
int wakers_posts(struct analysis *a, struct waiter *w, struct rf_error *err);

#endif

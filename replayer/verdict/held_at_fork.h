// All locks that were held when a process forked, also those that its child never came to.
#ifndef REFORK_REPLAYER_VERDICT_HELD_AT_FORK_H
#define REFORK_REPLAYER_VERDICT_HELD_AT_FORK_H

#include "replayer/verdict/case.h"

// The history of all locks around the forks of the events `first` to `last` (long before the first one only in a short
// recording); it stays the case's. 0, or -1: also when the timeline's deadline passes. Moves the timeline.
int held_history(struct analysis *a, uint64_t first, uint64_t last, const struct lock_history **out,
                 struct rf_error *err);
// Fills verdict->held_at_fork; does not when it would take long.
int held_fill(struct analysis *a, struct rf_error *err);

#endif

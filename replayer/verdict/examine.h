// From a recording to a verdict, by re-execution.
#ifndef REFORK_REPLAYER_VERDICT_EXAMINE_H
#define REFORK_REPLAYER_VERDICT_EXAMINE_H

#include "replayer/timeline.h"
#include "replayer/verdict/verdict.h"

// Makes the verdict: 0 and *out (free with verdict_free), or -1 (diverged, interrupted).
int examine(struct timeline *t, struct verdict **out, struct rf_error *err);

// The same of a recording that is still being made: whether these tasks, which sleep in futex calls at its end while others go
// on, wait for ever. That is so when the holder of what they wait for has vanished in a fork, has ended, is the waiter or
// is another one of them. Findings of such waits only. `alone`: nobody else in the recording could end their waits, which may
// be waits for children too, and the question is what signal handlers could; findings of all sorts.
int examine_waiting(struct timeline *t, const int *tids, size_t count, bool alone, struct verdict **out,
                    struct rf_error *err);

#endif

// From a recording to a verdict, by re-execution.
#ifndef REFORK_REPLAYER_VERDICT_EXAMINE_H
#define REFORK_REPLAYER_VERDICT_EXAMINE_H

#include "replayer/timeline.h"
#include "replayer/verdict/verdict.h"

// Makes the verdict: 0 and *out (free with verdict_free), or -1 (diverged, interrupted).
int examine(struct timeline *t, struct verdict **out, struct rf_error *err);

#endif

// One event: the task runs to where the recording has it, and gets what the kernel gave it then.
#ifndef REFORK_REPLAYER_ENGINE_STEP_H
#define REFORK_REPLAYER_ENGINE_STEP_H

#include "replayer/engine/replay.h"

// 0, or -1: RF_DIVERGED, RF_BAD_TRACE.
int step_event(struct replay *r, const struct event *e, struct rf_error *err);

#endif

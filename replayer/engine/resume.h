// A virtual task to its next stop.
#ifndef REFORK_REPLAYER_ENGINE_RESUME_H
#define REFORK_REPLAYER_ENGINE_RESUME_H

#include "replayer/engine/replay.h"

struct vtask;
// Whatever the stop is, after one instruction or more. v->pub.regs is current afterwards.
int vtask_resume(struct replay *r, struct vtask *v, bool one, int *status, struct rf_error *err);

#endif

// A virtual task to its next landmark: what watchpoints and breakpoints stop on the way is dealt with here.
#ifndef REFORK_REPLAYER_ENGINE_RUN_H
#define REFORK_REPLAYER_ENGINE_RUN_H

#include "replayer/engine/replay.h"

struct vtask;
// Resumes v (PTRACE_SYSEMU) to its next stop; hits of watchpoint and breakpoints are reported and passed. v->pub.regs is
// current afterwards.
int vtask_run(struct replay *r, struct vtask *v, int *status, struct rf_error *err);
// One instruction of v.
int vtask_single_step(struct replay *r, struct vtask *v, struct rf_error *err);

#endif

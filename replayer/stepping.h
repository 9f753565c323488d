// A task's way from one event to another, instruction by instruction: breakpoints that are always one instruction
// ahead. For short ways: an instruction takes 10 to 30 us.
#ifndef REFORK_REPLAYER_STEPPING_H
#define REFORK_REPLAYER_STEPPING_H

#include "replayer/engine/breakpoints.h"
#include "replayer/timeline.h"

// The task is about to execute the instruction at hit->regs->rip.
typedef void (*stepping_each)(void *context, struct replay *r, const struct break_hit *hit);

// Seeks `from`, and goes on to `until`. *all: false when there were too many instructions, or some could not be told.
// 0, or -1: then the timeline may be anywhere.
int stepping_run(struct timeline *t, int tid, uint64_t from, uint64_t until, stepping_each each,
                 void *context, bool *all, struct rf_error *err);

// The last event before `before` that is `tid`'s own, among so many events of all tasks; 0: none.
uint64_t stepping_landmark(struct timeline *t, int tid, uint64_t before, uint64_t most, struct event *out);

#endif

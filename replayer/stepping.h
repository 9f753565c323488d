// A task's way from one event to another, instruction by instruction: breakpoints that are always one instruction
// ahead. For short ways: an instruction takes 10 to 30 us.
#ifndef REFORK_REPLAYER_STEPPING_H
#define REFORK_REPLAYER_STEPPING_H

#include "core/code_operands.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/timeline.h"

// The task is about to execute the instruction at hit->regs->rip.
typedef void (*stepping_each)(void *context, struct replay *r, const struct break_hit *hit);

// Runs `span`. 1; 0 when there were too many instructions, or some could not be told; -1: then the timeline may be
// anywhere.
int stepping_run(struct timeline *t, int tid, struct event_span span, stepping_each each, void *context,
                 struct rf_error *err);

// The memory operands of the instruction that is about to be executed, without the stack words of push, pop, call and ret and the
// word that an indirect branch goes by. Their number; 0 also when it cannot be decoded.
int stepping_operands(struct replay *r, const struct break_hit *hit, struct memory_operand out[4]);

// The last event before `before` that is `tid`'s own, among so many events of all tasks; 0: none.
uint64_t stepping_landmark(struct timeline *t, int tid, uint64_t before, uint64_t most, struct event *out);

#endif

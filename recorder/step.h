// One instruction at a time.
#ifndef REFORK_RECORDER_STEP_H
#define REFORK_RECORDER_STEP_H

#include "recorder/state.h"
#include "recorder/task.h"

enum step_result {
    STEP_GONE, // t is gone, or has left a stop for the loop: the caller leaves
    STEP_DONE,
    STEP_HELD, // nothing was executed
};

// Executes one instruction of t, whose registers are *regs before and after, without a look at breakpoints (see
// arrivals.h). t->stepping is set meanwhile, end_stepping called at the end.
enum step_result step_raw(struct recorder *r, struct task *t, struct user_regs_struct *regs);
void end_stepping(struct task *t);

#endif

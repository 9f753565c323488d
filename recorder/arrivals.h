// Tasks that come to breakpoints.
#ifndef REFORK_RECORDER_ARRIVALS_H
#define REFORK_RECORDER_ARRIVALS_H

#include "recorder/state.h"
#include "recorder/task.h"

// Executes one instruction of t, whose registers are *regs before and after; a breakpoint that it comes to counts.
// False: t is at a landmark, or gone, or not stoppable here: the caller leaves. t->stepping is set meanwhile,
// end_stepping called at the end.
bool step(struct recorder *r, struct task *t, struct user_regs_struct *regs);
// Before t is resumed: over the breakpoint that it starts at. False: it is at a landmark again, or gone.
bool breakpoints_leave(struct recorder *r, struct task *t);
// At the int3 of a breakpoint.
void breakpoint_trap(struct recorder *r, struct task *t, struct user_regs_struct *regs);

#endif

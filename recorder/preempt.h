// Ends the time slice of a task that reaches no landmark by itself.
#ifndef REFORK_RECORDER_PREEMPT_H
#define REFORK_RECORDER_PREEMPT_H

#include "recorder/state.h"
#include "recorder/task.h"

void preempt_tick(struct recorder *r, struct task *t); // the timer, while t runs user code
// At a PTRACE_INTERRUPT stop in user code: makes a landmark, unless a stop comes before (then it is left in t).
void preempt_busy(struct recorder *r, struct task *t);
// Room for a stub of 256 bytes or less, within 2 GiB of `pc`, for t, which stands at a landmark; 0: none. New pages are a PATCH event.
uint64_t preempt_stub_room(struct recorder *r, struct task *t, uint64_t pc);
// At the PLT clock's limit: logs TICK.
void preempt_clock(struct recorder *r, struct task *t, struct user_regs_struct *regs);

#endif

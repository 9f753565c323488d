// Ends the time slice of a task that reaches no landmark by itself.
#ifndef REFORK_RECORDER_PREEMPT_H
#define REFORK_RECORDER_PREEMPT_H

#include "recorder/state.h"
#include "recorder/task.h"

void preempt_request(struct task *t);                  // asks for a landmark soon
void preempt_tick(struct recorder *r, struct task *t); // the timer, while t runs user code
// At a PTRACE_INTERRUPT stop in user code: makes a landmark.
void preempt_busy(struct recorder *r, struct task *t);
// A slice of t has ended at a landmark that is no syscall.
void preempt_done(struct recorder *r, struct task *t);

#endif

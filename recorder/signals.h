// Signals: dispositions, what is held back, delivery.
#ifndef REFORK_RECORDER_SIGNALS_H
#define REFORK_RECORDER_SIGNALS_H

#include "core/event.h"
#include "recorder/state.h"
#include "recorder/task.h"

// At a signal-delivery-stop of t with status: handles it, leaves t at a landmark or logs nothing and wants it
// resumed.
void signal_stop(struct recorder *r, struct task *t, int status);
bool signals_deliverable(struct task *t);
// At a landmark: delivers the first held signal. `at`: 0 in a signal-delivery-stop or syscall-exit-stop, 1 at
// a syscall's entry.
void signal_deliver(struct recorder *r, struct task *t, enum signal_place at);
bool same_regs(const struct user_regs_struct *a, const struct user_regs_struct *b);
// Takes the signal of the present signal-delivery-stop and keeps it for a landmark.
void signal_hold(struct task *t);
void sighand_exec(struct task *t);
// After a call of t that succeeded: rt_sigaction; alarm and the like.
void note_dispositions(struct task *t, int64_t ret);
void note_timers(struct task *t);

#endif

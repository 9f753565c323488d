// Which signals a task blocks, and those that are held back for it.
#ifndef REFORK_RECORDER_MASK_H
#define REFORK_RECORDER_MASK_H

#include "recorder/task.h"

// In a signal-delivery-stop: a signal that the recorder has sent anew, instead of one that came, is again what that was.
void signal_as_sent(struct task *t, siginfo_t *info);
// Takes the signal of the present signal-delivery-stop and keeps it for a landmark.
void signal_hold(struct task *t);
// Keeps that one, before the others.
void signal_keep(struct task *t, const siginfo_t *info);
// Reads t->mask anew: after a call or a signal that changes it.
void mask_changed(struct task *t);
bool mask_blocks(const struct task *t, int sig);
// Sets the mask of the kernel's to t->mask.
void mask_restore(struct task *t);
// While a task is stepped its SIGTRAP is not blocked, so that the steps' traps change nothing; closed before anything looks.
void mask_open_trap(struct task *t);
void mask_close_trap(struct task *t);
// The same, and until then only what an instruction causes comes: signals that come faster than steps would not let one be made.
void mask_hold_off(struct task *t);

#endif

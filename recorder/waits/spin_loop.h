// Loops without syscalls.
#ifndef REFORK_RECORDER_WAITS_SPIN_LOOP_H
#define REFORK_RECORDER_WAITS_SPIN_LOOP_H

#include "recorder/state.h"
#include "recorder/task.h"

// Whether looking at a spin of t does not take too much of the recording's time.
bool spin_affordable(const struct recorder *r, const struct task *t);
// When t has been without a syscall for long: looks, from where it stands in user code, whether it is in a loop that
// nothing of its own will end. If so, and nobody else will either, a landmark is asked for, where stuck_check is to be
// called. Leaves t some iterations further or at a landmark; false: t has not been touched.
bool spin_look(struct recorder *r, struct task *t);

#endif

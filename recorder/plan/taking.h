// Whether a task takes a lock with its next instruction, and on whose behalf.
#ifndef REFORK_RECORDER_PLAN_TAKING_H
#define REFORK_RECORDER_PLAN_TAKING_H

#include "recorder/task.h"

// Does the instruction that t stands at take a lock? *lock: its word; 0 of a plain store, of which whoever asks says that it
// does.
bool taking_instruction(struct task *t, const struct user_regs_struct *regs, uint64_t *lock);

// Is t within a call that returns to one of these addresses? A word of its stack is such an address; one that an earlier call left
// in a frame that it is in now looks alike, so that is a filter, no proof.
bool taking_below(struct task *t, uint64_t rsp, const uint64_t *addresses, size_t count);

// Are the 32 bits at `lock` zero? false: they cannot be read.
bool taking_is_zero(struct task *t, uint64_t lock);

#endif

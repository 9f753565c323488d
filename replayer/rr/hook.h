// rr's own code in the program: from a system call of libc it goes through a stub into librrpreload.so, on a stack of its own.
#ifndef REFORK_REPLAYER_RR_HOOK_H
#define REFORK_REPLAYER_RR_HOOK_H

#include "core/view.h"

// Turns registers within rr's code into those that the program has when the call returns to it: pc, stack pointer, and what
// callees keep. Others stay. False: they are not within rr's code, or the way out is not known.
bool rr_leave_hook(const struct view *v, struct user_regs_struct *regs);

#endif

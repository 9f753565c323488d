// Calls that refork makes in the program's name.
#ifndef REFORK_RECORDER_INJECT_H
#define REFORK_RECORDER_INJECT_H

#include "recorder/state.h"
#include "recorder/task.h"

// Runs one call in t, which is at a syscall-exit or signal-delivery-stop, and puts its registers back; t is at the
// call's exit stop then. Returns its result; -ESRCH: t is gone, or on its way out.
long inject(struct recorder *r, struct task *t, long nr, const uint64_t args[6]);

#endif

// Which `syscall` instructions get a jump.
#ifndef REFORK_RECORDER_CALLS_SITES_H
#define REFORK_RECORDER_CALLS_SITES_H

#include "recorder/state.h"
#include "recorder/task.h"

// t has returned from a call that was made at a stop. An instruction that makes calls often gets its jump then (a PATCH event).
void call_site_used(struct recorder *r, struct task *t);

#endif

// What calls do to memory beyond their row: in part, or to the limits of the stack.
#ifndef REFORK_RECORDER_MEMORY_CALLS_H
#define REFORK_RECORDER_MEMORY_CALLS_H

#include "recorder/log.h"

// At the exit of t's call with result `ret`: REACH pieces for madvise and mprotect that failed in their middle, and for a new
// limit of the stack.
void memory_call_done(struct task *t, struct batch *b, int64_t ret);

#endif

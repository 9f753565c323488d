// ptrace(2) among the recorded tasks: who attaches to another one, or has started it to be attached to, looks at it, lets it go on,
// is told of its signals and new programs. All of them are refork's own tracees, so it answers the calls itself: a task that is to
// stop is not run, a wait for it is answered. How they stop and go on
// is in tracee.h. Debug registers, PTRACE_LISTEN and the threads' areas of 32-bit code are refused by name.
#ifndef REFORK_RECORDER_EMULATE_PTRACE_H
#define REFORK_RECORDER_EMULATE_PTRACE_H

#include "recorder/state.h"

void ptrace_begin(struct recorder *r);

#endif

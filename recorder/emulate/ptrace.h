// ptrace(2) among the recorded tasks: who attaches to another one, looks at it and lets it go (a crash handler, a stack dumper). All of
// them are refork's own tracees, so it answers the calls itself: a task that is to stop is not run, a wait for it is answered.
// What needs stops that refork would have to make (TRACEME, SYSCALL, SINGLESTEP, events, changed registers) is refused by name.
#ifndef REFORK_RECORDER_EMULATE_PTRACE_H
#define REFORK_RECORDER_EMULATE_PTRACE_H

#include "recorder/state.h"

void ptrace_begin(struct recorder *r);

#endif

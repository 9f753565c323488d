// Syscall user dispatch (PR_SET_SYSCALL_USER_DISPATCH): calls that the program makes from certain code become its own SIGSYS.
#ifndef REFORK_RECORDER_EMULATE_DISPATCH_H
#define REFORK_RECORDER_EMULATE_DISPATCH_H

#include "recorder/state.h"

// From then on it is obeyed. Before seccomp_begin: such a call comes to no filter.
void dispatch_begin(struct recorder *r);
// From then on it is set up. Behind seccomp_begin: a filter may forbid that.
void dispatch_settings_begin(struct recorder *r);

#endif

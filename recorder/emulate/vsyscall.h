// The vsyscall page (0xffffffffff600000: gettimeofday, time, getcpu at 1024 bytes each), which programs from before 2012 call. The kernel emulates it
// in its page fault and shows it to seccomp filters, not to PTRACE_SYSCALL.
#ifndef REFORK_RECORDER_EMULATE_VSYSCALL_H
#define REFORK_RECORDER_EMULATE_VSYSCALL_H

#include "recorder/state.h"

void vsyscall_begin(struct recorder *r);

#endif

// Entries and exits of calls.
#ifndef REFORK_RECORDER_SYSCALL_H
#define REFORK_RECORDER_SYSCALL_H

#include "recorder/state.h"
#include "recorder/task.h"

void syscall_entry(struct recorder *r, struct task *t);    // at the seccomp or entry stop
void syscall_returned(struct recorder *r, struct task *t); // at the exit stop kept in t->stop
// Waits until the call that t was resumed into has either returned or put t to sleep.
void syscall_settle(struct recorder *r, struct task *t);

#endif

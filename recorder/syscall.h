// Entries and exits of calls.
#ifndef REFORK_RECORDER_SYSCALL_H
#define REFORK_RECORDER_SYSCALL_H

#include "recorder/answers.h"
#include "recorder/state.h"
#include "recorder/task.h"

// At the seccomp stop: takes number, arguments and registers. False: t was killed.
bool syscall_begins(struct recorder *r, struct task *t);
// Answers the call, or makes it. Where it returns at once its stop is left in t.
void syscall_entry(struct recorder *r, struct task *t);
// Answers the call at whose entry t is, without letting it reach the kernel.
void syscall_answered(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                      const struct own_answer *a);
// The same, with an error: it is refused, which the user is told once.
void syscall_refused(struct recorder *r, struct task *t, struct user_regs_struct *regs, int64_t result);
// At the exit stop: logs what the call has done.
void syscall_returned(struct recorder *r, struct task *t);
// Waits until the call that t was resumed into has either returned or put t to sleep: before that nobody else may run.
void syscall_settle(struct recorder *r, struct task *t);

#endif

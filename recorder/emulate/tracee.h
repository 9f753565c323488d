// Tasks that another recorded task has attached to (ptrace.h): where they stop, and how they go on.
//
// Such a task stands at a landmark and is not run. At the entry of a call it is taken back to in front of its instruction, which an
// event says; so a tracer may change registers there as everywhere, and the call begins when the task goes on.
#ifndef REFORK_RECORDER_EMULATE_TRACEE_H
#define REFORK_RECORDER_EMULATE_TRACEE_H

#include "recorder/state.h"
#include "recorder/task.h"

#include <signal.h>
#include <sys/ptrace.h>

enum { // as wait tells it
    STOPPED_BY_SIGNAL = SIGSTOP << 8 | 0x7f,
    STOPPED_BY_EVENT = SIGTRAP << 8 | 0x7f | PTRACE_EVENT_STOP << 16,
};

enum tracee_mode { // what it stops at next, but for signals and events
    GOES_FREELY,
    GOES_TO_CALL,           // PTRACE_SYSCALL: the next entry or exit of a call
    GOES_TO_EMULATED_CALL,  // PTRACE_SYSEMU: the next entry; that call is not made
    GOES_STEPWISE,          // PTRACE_SINGLESTEP: behind one instruction
    GOES_STEPWISE_EMULATED, // PTRACE_SYSEMU_SINGLESTEP: both
};

void tracees_begin(struct recorder *r);

bool tracee_is_wait(long nr); // a call that waits for children
bool tracee_traced(const struct task *tracer, const struct task *t);

// t stops with this status at once: it is at a landmark, or held where it is.
void tracee_stop_with(struct recorder *r, struct task *t, int status);
// t stops at once, or when its call has come back.
void tracee_want_stop(struct recorder *r, struct task *t, int status);
// The status of t when it is interrupted: while job control has stopped it, that signal's.
int tracee_interrupted(const struct task *t);
// t goes on as t->traced.mode says. `for_good`: and is traced no more.
void tracee_release(struct recorder *r, struct task *t, bool for_good);
// t, which job control has stopped, stays so, and stops again when that ends.
void tracee_listens(struct recorder *r, struct task *t);
// What t was let go on for has been done: it stops at its next landmark, as behind a single step.
void tracee_step_made(struct task *t);
// At the entry of a call of t (t->call). True: it stops there.
bool tracee_at_call(struct recorder *r, struct task *t);

// The registers of a task that is stopped, as its tracer sees them: those of its landmark, which a replay has as well.
struct user_regs_struct tracee_standing(const struct task *t);
// The tracer sets such registers at an entry: *regs becomes those in front of the call. False: it cannot be had.
bool tracee_set_at_entry(struct task *t, struct user_regs_struct *regs);
// What PTRACE_GETSIGINFO and PTRACE_GET_SYSCALL_INFO tell of a task that is stopped; the latter's size.
siginfo_t tracee_siginfo(const struct task *t);
size_t tracee_call_info(const struct task *t, struct __ptrace_syscall_info *info);

#endif

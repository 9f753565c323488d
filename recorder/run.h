// Running tasks, and waiting until they stop.
#ifndef REFORK_RECORDER_RUN_H
#define REFORK_RECORDER_RUN_H

#include "recorder/state.h"
#include "recorder/task.h"

#include <sys/ptrace.h>

// Of every task that is traced.
enum {
    TRACE_OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                    PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL
};

enum waited { WAITED_STOP, WAITED_TICK, WAITED_GONE };

// Resumes t (request: PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP). False: the recording has failed.
bool resume(struct recorder *r, struct task *t, int request, int signal);
// A main thread that is killed is told a second time when its process's end begins in another thread (zap_other_threads). If that
// finds it on its way out, it has no exit stop (ptrace_stop: __fatal_signal_pending), and wait does not tell of it before the other
// threads are gone, which wait for the recorder.
bool died_unseen(const struct task *t);
// Waits for the next stop of t, or for the timer's next tick. Of a task that has died unseen: SIGKILL is its status.
enum waited wait_stop(struct task *t, int *status);
// Waits for the next stop of t, whatever the timer says; t is READY then. False when t is gone.
bool wait_undisturbed(struct task *t, int *status);
// Both: resumes t, whose steps are refork's own business, and waits for its next stop.
bool run_undisturbed(struct recorder *r, struct task *t, int request, int signal, int *status);

// t has stopped: it is RETURNED until the loop handles that, when it is its turn.
void leave_stop(struct task *t, int status);
// The same, and the loop handles that before anything else happens: so calls are in the trace in the order in
// which the kernel carried them out.
void leave_stop_next(struct recorder *r, struct task *t, int status);
// Takes the stops of other tasks that have come meanwhile; never blocks.
void collect_stops(struct recorder *r);

#endif

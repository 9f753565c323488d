// Running tasks and waiting for their stops.
#ifndef REFORK_RECORDER_STOP_H
#define REFORK_RECORDER_STOP_H

#include "recorder/state.h"
#include "recorder/task.h"

// Resumes t (request: PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP) and waits for its next stop; ticks may
// preempt it. False when it is gone.
bool run_until_stop(struct recorder *r, struct task *t, int request, int signal, int *status);
// Only waits.
bool wait_stop(struct recorder *r, struct task *t, int *status);
// Takes the stops of other tasks that have come meanwhile; never blocks.
void collect_stops(struct recorder *r);
// t has stopped: it is RETURNED until the loop handles that.
void take_stop(struct task *t, int status);

#endif

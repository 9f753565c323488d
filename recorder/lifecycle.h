// clone, exec, exit.
#ifndef REFORK_RECORDER_LIFECYCLE_H
#define REFORK_RECORDER_LIFECYCLE_H

#include "recorder/state.h"
#include "recorder/task.h"

// At the entry of a call that makes a task: makes it.
void task_clone(struct recorder *r, struct task *t);
// ... not yet: when t runs next. For whoever is asked by the hook at_clone.
void task_hold_at_entry(struct recorder *r, struct task *t);
// The flags of that call as clone has them, with the signal at the child's end; 0: it is none.
uint64_t task_birth_flags(struct task *t);
bool task_forks(struct task *t); // the call at whose entry t is makes a new address space
void task_exec(struct recorder *r, struct task *t);
void task_exit_stop(struct recorder *r, struct task *t); // at PTRACE_EVENT_EXIT
// `killer` is about to send a SIGKILL: who is ended by it may make no stop on its way out (one time in ten, seen on Linux 6.18), and
// then its memory is gone. Reads before what its end will do to robust mutexes.
void tasks_foresee_ends(struct recorder *r, const struct task *killer);
void task_ended_unseen(struct recorder *r, struct task *t, int status); // without a PTRACE_EVENT_EXIT
// t is the first process of a PID namespace, at a fault that nobody handles: it ends.
void task_fault_ends(struct recorder *r, struct task *t);
void exec_image(struct recorder *r, struct task *t); // logs EXEC for the image that t begins with

#endif

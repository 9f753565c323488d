// The fork gate. Its plan is in recorder/plan/schedule.h, its outcome in recorder/options.h.
#ifndef REFORK_RECORDER_PLAN_GATE_H
#define REFORK_RECORDER_PLAN_GATE_H

#include "recorder/breakpoints.h"
#include "recorder/options.h"

#include <sys/user.h>

// "never-concurrent", "child-stuck", ...
const char *gate_verdict_name(enum gate_verdict verdict);

void gate_begin(struct recorder *r);
void gate_end(struct recorder *r); // before what is left is killed
void gate_free(struct recorder *r);
bool gate_holds(const struct recorder *r, const struct task *t);
void gate_poll(struct recorder *r);
bool gate_idle(struct recorder *r);
bool gate_due(const struct recorder *r); // something is to be decided by time: at the next landmark
bool gate_wants_sites(const struct recorder *r);
// The acquire site has been found; `problem`: why there can be no breakpoint.
void gate_site(struct recorder *r, const char *problem);
// The acquire site's breakpoint is to be on from the begin.
bool gate_acquire_matters(const struct recorder *r);
void gate_word(struct recorder *r, uint64_t address); // where the plan's lock word is
void gate_from(struct recorder *r, uint64_t address); // a place of the plan's `from` list has been found
bool gate_at_clone(struct recorder *r, struct task *t);
bool gate_let_go(struct recorder *r);            // the holder goes on after the fork; false: nobody is held
bool gate_child_loops(const struct recorder *r); // all its tasks only wait, one again and again
bool gate_lock_awaited(const struct recorder *r,
                       const struct task *t); // the child's task waits for the parked task's lock
void gate_forked(struct recorder *r, struct task *t, struct task *child);
void gate_fork_failed(struct recorder *r, struct task *t, int64_t ret);
void gate_exec(struct recorder *r, struct task *t);
void gate_ended(struct recorder *r, struct task *t, int status);
enum break_wish gate_fork_entry(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
enum break_wish gate_acquire(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
enum break_wish gate_return(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
void gate_landed(struct recorder *r, struct task *t);
void gate_returned(struct recorder *r, struct task *t);

#endif

// Whose slice it is.
#ifndef REFORK_RECORDER_SLICES_H
#define REFORK_RECORDER_SLICES_H

#include "recorder/state.h"
#include "recorder/task.h"

bool may_run(const struct recorder *r, const struct task *t);
// The task that has the CPU next; NULL: none can run.
struct task *next_task(struct recorder *r);
struct task *slices_choose(struct recorder *r); // by time slices, or chaos
// Somebody else could run, or wants to act: t must not keep the CPU, nor refork sleep.
bool others_ready(struct recorder *r, struct task *t);
void slice_begin(struct recorder *r, struct task *t);
bool slice_over(struct recorder *r);
// --chaos: a quarter of the resumes lowers the PLT clock's limit to 1 to 64 library calls ahead.
void chaos_limit(struct recorder *r, struct task *t);
// How many calls t, which is about to run, may make by itself until there is something to choose: --chaos decides at each landmark,
// and these decisions are made ahead; a digest is taken at a stop; a schedule looks now and then whether a task that sleeps was woken
// from outside. Without these, as many as it likes.
uint64_t calls_until_choice(struct recorder *r, struct task *t);
// The present slice has had so many landmarks without a stop.
void calls_were_made(struct recorder *r, uint64_t count);
// How many steps of the schedule such a call is, where the PLT clock's limit counts them (struct call_control).
uint64_t calls_cost(const struct recorder *r);

#endif

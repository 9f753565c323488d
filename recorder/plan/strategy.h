// Schedules that depend on the program alone.
#ifndef REFORK_RECORDER_PLAN_STRATEGY_H
#define REFORK_RECORDER_PLAN_STRATEGY_H

#include "recorder/state.h"
#include "recorder/task.h"

void strategist_begin(struct recorder *r);
void strategist_end(struct recorder *r);
void strategist_free(struct recorder *r);
struct task *strategist_choose(struct recorder *r);
void strategist_resume(struct recorder *r, struct task *t); // t is about to run
bool strategist_slice_over(struct recorder *r);             // at a tick of the timer

// At a breakpoint with BREAK_STINT: does t's stint end here? Then, when the landmark has been made, it is over.
bool strategist_stint_ends(struct recorder *r, const struct task *t, const struct breakpoint *b,
                           bool *behind);
void strategist_stint_over(struct recorder *r, const struct task *t, const struct breakpoint *b);

#endif

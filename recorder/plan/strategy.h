// Schedules that depend on the program alone.
#ifndef REFORK_RECORDER_PLAN_STRATEGY_H
#define REFORK_RECORDER_PLAN_STRATEGY_H

struct recorder;

// The schedule's strategy chooses from now on, or switches are written down into options->saved.
void strategist_begin(struct recorder *r);
void strategist_free(struct recorder *r);

#endif

// What schedules and the fork gate keep with a task.
#ifndef REFORK_RECORDER_PLAN_TASK_PLAN_H
#define REFORK_RECORDER_PLAN_TASK_PLAN_H

#include "recorder/plan/schedule.h"
#include "recorder/task.h"

struct task_plan {
    // strategy.c
    bool slept;          // it has asked to sleep since it was chosen last
    bool ranked;         // it has a
    int64_t priority;    // of PCT
    uint64_t waits_from; // step of the schedule since which it could run, and did not
    // gate.c
    bool at_fork_site; // it came into fork() from the gate's fork site
    // places.c
    uint64_t yield_arrivals[SCHEDULE_YIELDS]; // ever, at each of the schedule's yield places
};

// Made when it is asked for first.
struct task_plan *plan_of(struct task *t);

#endif

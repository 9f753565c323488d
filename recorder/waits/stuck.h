// Who waits for ever?
#ifndef REFORK_RECORDER_WAITS_STUCK_H
#define REFORK_RECORDER_WAITS_STUCK_H

#include "recorder/state.h"
#include "recorder/task.h"

// `t`: the task that has just gone to sleep in a futex, or has come round in its loop (recorder/waits/wait_loop.h), while others
// run; NULL: nobody can run. Tasks must be at landmarks.
void stuck_check(struct recorder *r, struct task *t);
// Something was found to be stuck a while ago: it is to be said now, whatever the others do.
bool stuck_due(const struct recorder *r);
// Whether stuck_check would find something if the tasks were at landmarks.
bool stuck_possible(struct recorder *r);

#endif

// Waits that lasted until somebody ended their process: a supervisor with a time limit, or its own timer.
#ifndef REFORK_REPLAYER_VERDICT_KILLED_WAITER_H
#define REFORK_REPLAYER_VERDICT_KILLED_WAITER_H

#include "replayer/verdict/case.h"

// Fills `killed` of the findings about such waits, and lowers their confidence where a signal handler of the process could
// have ended them. Moves the timeline. 0 or -1.
int killed_fill(struct analysis *a, struct rf_error *err);

#endif

// What a wait is for, by the functions of a script (Python's) on the stack.
#ifndef REFORK_REPLAYER_VERDICT_SCRIPT_WAITS_H
#define REFORK_REPLAYER_VERDICT_SCRIPT_WAITS_H

#include "replayer/names/stack.h"

#include <stdbool.h>

// Are functions of a script known there at all?
bool script_is_known(const struct stack *s);
// Does it wait for what a worker of a pool answers?
bool script_awaits_answer(const struct stack *s);
// Is it such a worker?
bool script_is_worker(const struct stack *s);

#endif

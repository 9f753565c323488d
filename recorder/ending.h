// How a recording ends other than by the program's own end: Ctrl-C, signals to refork, a time limit.
#ifndef REFORK_RECORDER_ENDING_H
#define REFORK_RECORDER_ENDING_H

#include "recorder/state.h"
#include "recorder/task.h"

// Looks at what has come from outside, and at the time. May set r->stop_all. Cheap: called after each stop, and at each tick
// of the timer while a task runs.
void ending_look(struct recorder *r);
// A signal has reached a task of the program; `handled`: its handler is about to run.
void ending_signal_reached(struct recorder *r, int signal, bool handled);

#endif

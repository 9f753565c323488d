// How a recording ends other than by the program's own end: Ctrl-C, signals to refork, a time limit.
#ifndef REFORK_RECORDER_END_ENDING_H
#define REFORK_RECORDER_END_ENDING_H

#include "recorder/state.h"

// From then on it is looked after.
void ending_begin(struct recorder *r);

#endif

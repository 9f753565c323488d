// How a recording ends other than by the program's own end: Ctrl-C, signals to refork, a time limit.
#ifndef REFORK_RECORDER_END_ENDING_H
#define REFORK_RECORDER_END_ENDING_H

#include "recorder/state.h"

// From then on it is looked after.
void ending_begin(struct recorder *r);
// The loop has ended with r->let_go: lets what the program left behind live on, and says so. False: that cannot be just now, the
// loop shall go on.
bool ending_let_go(struct recorder *r);

#endif

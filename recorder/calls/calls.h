// System calls that the program makes by itself, without a stop (docs/probes.md).
#ifndef REFORK_RECORDER_CALLS_CALLS_H
#define REFORK_RECORDER_CALLS_CALLS_H

#include "recorder/state.h"

// From the next exec on.
void calls_begin(struct recorder *r);

#endif

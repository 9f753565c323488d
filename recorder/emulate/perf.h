// perf_event_open(2): counters of software events are read by calls, and so recorded. What counts in hardware depends on refork's
// own stops, and a ring buffer is memory that the kernel writes at any time: both are refused.
#ifndef REFORK_RECORDER_EMULATE_PERF_H
#define REFORK_RECORDER_EMULATE_PERF_H

#include "recorder/state.h"

void perf_begin(struct recorder *r);

#endif

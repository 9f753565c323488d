// The search for tasks that wait for ever, as a part of a recording.
#ifndef REFORK_RECORDER_WAITS_WAITS_H
#define REFORK_RECORDER_WAITS_WAITS_H

#include "recorder/state.h"

void waits_begin(struct recorder *r);
void waits_free(struct recorder *r);

#endif

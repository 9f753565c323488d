// /proc/PID/status of a task in the recording, as it reads without refork: no tracer, and of seccomp what the program itself has asked for.
#ifndef REFORK_RECORDER_EMULATE_STATUS_H
#define REFORK_RECORDER_EMULATE_STATUS_H

#include "recorder/state.h"

void status_begin(struct recorder *r);

#endif

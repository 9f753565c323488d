// The loop: one task runs at a time.
#ifndef REFORK_RECORDER_ENGINE_H
#define REFORK_RECORDER_ENGINE_H

#include "recorder/state.h"
#include "recorder/task.h"

// Runs the program to its end; -1 with *err when the recording failed.
int engine_run(struct recorder *r, struct rf_error *err);
void kill_everything(struct recorder *r);

#endif

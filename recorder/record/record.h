// The recorder's one entry point.
#ifndef REFORK_RECORDER_RECORD_RECORD_H
#define REFORK_RECORDER_RECORD_RECORD_H

#include "core/error.h"
#include "recorder/options.h"
#include "recorder/plan/gate.h"

// Records one program from start to end: 0, or -1 with *err (RF_NOT_FOUND, RF_NOT_EXECUTABLE, RF_CANNOT). The
// trace holds what was recorded in either case, once the program has started.
int record_run(const struct record_options *options, struct record_result *result, struct rf_error *err);

// May the verdict on that recording be a deadlock? If not, it need not be made.
bool record_may_hang(const struct record_result *result);

#endif

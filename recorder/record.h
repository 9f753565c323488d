// The recorder's one entry point.
#ifndef REFORK_RECORDER_RECORD_H
#define REFORK_RECORDER_RECORD_H

#include "core/error.h"
#include "recorder/options.h"
#include "recorder/plan/gate.h"

// Records one program from start to end: 0, or -1 with *err (RF_NOT_FOUND, RF_NOT_EXECUTABLE, RF_CANNOT). The
// trace holds what was recorded in either case, once the program has started.
int record_run(const struct record_options *options, struct record_result *result, struct rf_error *err);

// One kernel or CPU feature that refork uses, for `refork doctor`: name, whether it is there, what is lost
// without it and what to do.
struct feature {
    const char *name;
    bool available, required;
    char detail[160];   // what was seen
    const char *lost;   // what is lost without it
    const char *remedy; // what to do about it; NULL: nothing
};
// Probes this machine (forks short-lived children); returns the number filled in.
int probe_features(struct feature *out, int max);

#endif

// What this machine can do, for `refork doctor`.
#ifndef REFORK_RECORDER_DOCTOR_PROBE_H
#define REFORK_RECORDER_DOCTOR_PROBE_H

#include <stdbool.h>

// One kernel or CPU feature that refork uses.
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

// What a watch found, as a file that Prometheus' node exporter reads (its textfile collector).
#ifndef REFORK_REPLAYER_WATCH_METRICS_H
#define REFORK_REPLAYER_WATCH_METRICS_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

// A process that is stuck now.
struct stuck_metric {
    int pid;
    const char *name, *kind, *lock; // lock "": it has no name
};

struct watch_metrics {
    uint64_t looks, diagnoses, found, refused,
        processes;        // processes: watched at the last look; the others since the start
    uint64_t last_look_s; // seconds since 1970
    const struct stuck_metric *stuck;
    size_t stuck_count;
};

// Writes the file anew, whole: who reads it never sees half of one. 0 or -1.
int metrics_write(const char *path, const struct watch_metrics *m, struct rf_error *err);

#endif

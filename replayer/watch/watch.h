// Looks at running processes now and then. When a forked child looks stuck it is diagnosed, and what is known is written.
#ifndef REFORK_REPLAYER_WATCH_WATCH_H
#define REFORK_REPLAYER_WATCH_WATCH_H

#include "replayer/verdict/verdict.h"
#include "replayer/watch/target.h"

#include <stdio.h>

struct watch_options {
    struct watch_target target;
    bool all;          // also processes that have called exec since the fork that made them
    uint64_t every_ms; // between two looks
    uint64_t looks;    // ends after so many; 0: goes on until it is ended or the process `target.pid` is gone
    enum verdict_level fail_on; // what counts as stuck
    const char *folder;         // for NAME-PID-START.txt and .json; NULL: none
    bool core;                  // and .core
    const char *metrics;        // a file for Prometheus' node exporter; NULL: none
    FILE *out;                  // a line for each thing that happens
    // NULL, or called when process `pid` was found stuck, with the name of what was written, without its ending ("": nothing was).
    void (*stuck)(void *context, int pid, const char *written);
    void *context;
};

// Until SIGINT or SIGTERM, the number of looks, or the end of the process. The number of deadlocks found goes to *found.
// 0, or -1: a file cannot be written, or nothing of the target may be looked into.
int watch_run(const struct watch_options *options, uint64_t *found, struct rf_error *err);

// The same look by look. *options stays the caller's, and as it is.
struct watch;
struct watch *watch_new(const struct watch_options *options);
int watch_look(struct watch *w, struct rf_error *err);
void watch_free(struct watch *w);

#endif

// The lock history in words, and as JSON (docs/json.md).
#ifndef REFORK_REPLAYER_REPORT_LOCKS_H
#define REFORK_REPLAYER_REPORT_LOCKS_H

#include "replayer/locks/history.h"

#include <stdio.h>

struct lock_report_options {
    bool by_task;
    uint64_t at; // 0; else: who holds what right after this event
    // NULL; else: the history of the lock of this name, or at this address; of a lock without a name also where its
    // memory was allocated (re-executes).
    const char *lock;
    bool all;    // not only the first rows
    bool stacks; // the stack of each lock's longest hold (re-executes)
    const struct lock_functions *functions;
};

// Locks are ranked: those that were waited for, then those that were held longest. A lock and its copies in forked
// children are one. Who took the locks that are shown is looked up (re-executes), and added to the history. 0 or -1.
int lock_report_text(FILE *out, struct timeline *t, struct lock_history *h,
                     const struct lock_report_options *o, struct rf_error *err);
int lock_report_json(FILE *out, struct timeline *t, struct lock_history *h,
                     const struct lock_report_options *o, struct rf_error *err);

#endif

// Which process of a recording a debugger is shown, and at which event.
#ifndef REFORK_CLI_BEGIN_H
#define REFORK_CLI_BEGIN_H

#include "core/error.h"

#include <stdint.h>

struct begin {
    uint64_t event; // right behind it; 0: not given
    int pid, tid;   // 0: not given
};

// Fills in what is not given: the stuck task where it is stuck, else the first process at the last event that it lives
// to see. 0, or -1: no such event, no such process, or it does not live there (RF_CANNOT), or a bad trace.
int begin_choose(const char *path, struct begin *b, struct rf_error *err);

#endif

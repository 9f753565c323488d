// The situation of a recorded deadlock, forced on another build of the program.
#ifndef REFORK_SEARCH_VERIFY_H
#define REFORK_SEARCH_VERIFY_H

#include "core/cpu/model.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct verify_options {
    const char *input; // the recording to be verified
    char *const *argv;
    const char *output; // each run's recording
    bool keep;          // ... stays also when nothing hangs
    bool gone_is_fixed;
    uint64_t runs, timeout_ms, cpus;
    enum cpu_level cpu; // that the program is shown
};

// Tells each run on `out`, between interrupt_begin and interrupt_end. RF_OK fixed, RF_DEADLOCK it hangs, RF_CANNOT the situation
// was not reached, or -1 with *err.
int verify(const struct verify_options *o, FILE *out, struct rf_error *err);

#endif

// A recording as strace -f -yy would have shown the program: a line for each call, with what its arguments lead to.
#ifndef REFORK_REPLAYER_CALLS_STRACE_H
#define REFORK_REPLAYER_CALLS_STRACE_H

#include "core/error.h"

#include <stdio.h>

// Executes the recording at `path` once and writes its calls, signals and ends. -1: the replay diverged, the recording is damaged
// (what comes before has been written), or `out` cannot be written.
int strace_write(FILE *out, const char *path, struct rf_error *err);

#endif

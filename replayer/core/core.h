// An ELF core file of a process of the recording, as the kernel would have written it at that event.
#ifndef REFORK_REPLAYER_CORE_CORE_H
#define REFORK_REPLAYER_CORE_CORE_H

#include "replayer/timeline.h"

#include <stdio.h>

// Writes process `pid` as it is at the timeline's position to `out`; `first` is the thread that debuggers show first
// (0: any). 0, or -1 with RF_CANNOT: no thread of it lives there, or the output cannot be written. `out` may be a pipe.
int core_write(FILE *out, struct timeline *t, int pid, int first, struct rf_error *err);

#endif

// A process that was diagnosed while it runs, as an ELF core file.
#ifndef REFORK_REPLAYER_DIAGNOSE_WRITE_CORE_H
#define REFORK_REPLAYER_DIAGNOSE_WRITE_CORE_H

#include "replayer/diagnose/diagnose.h"

#include <stdio.h>

// Writes process `pid` of the diagnosis: its threads as they were when it was looked into, and its memory as it is now; `first` is the
// thread that debuggers show first. Of threads that were not stopped only the call and its place are known; those that ran are left
// out. 0, or -1 with RF_CANNOT: the process was not looked into, or the output cannot be written.
int diagnosis_write_core(FILE *out, const struct diagnosis *d, int pid, int first, struct rf_error *err);

#endif

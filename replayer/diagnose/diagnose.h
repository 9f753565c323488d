// A verdict without a recording: as far as the memory of a process that hangs now, or of a core file, tells.
#ifndef REFORK_REPLAYER_DIAGNOSE_DIAGNOSE_H
#define REFORK_REPLAYER_DIAGNOSE_DIAGNOSE_H

#include "core/error.h"
#include "replayer/verdict/verdict.h"

struct diagnosis;

// An empty one, without processes (diagnose/wait.h), for who takes them from elsewhere.
struct diagnosis *diagnosis_new(void);
// Looks at process `pid`, its descendants, and the ancestors of the same program that wait for it. Stops some of
// their threads for milliseconds, changes nothing. 0 and *out (free with diagnosis_free), or -1.
int diagnose_process(int pid, struct diagnosis **out, struct rf_error *err);
// 0, or -1: RF_BAD_TRACE when the file is no usable core.
int diagnose_core(const char *path, struct diagnosis **out, struct rf_error *err);
void diagnosis_free(struct diagnosis *d);

// Belongs to the diagnosis.
const struct verdict *diagnosis_verdict(const struct diagnosis *d);
// For report_text: lines of source files of this machine.
const char *diagnosis_source_line(void *diagnosis, const char *file, int line);

#endif

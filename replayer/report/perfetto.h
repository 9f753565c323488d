// A recording as a trace of perfetto (ui.perfetto.dev): tasks as tracks, calls and the times in which locks were held as slices, forks
// and locks that go from one task to another as flows, counters of held locks and of tasks that can run.
#ifndef REFORK_REPLAYER_REPORT_PERFETTO_H
#define REFORK_REPLAYER_REPORT_PERFETTO_H

#include "core/trace/trace_read.h"
#include "replayer/locks/history.h"

#include <stdio.h>

// Reads the events of `r` from the first on; `h` knows the locks of the whole recording. Times are those of the events: those of one
// microsecond keep their order by nanoseconds. -1: the recording is damaged (what comes before is written), or `out` cannot be written.
int perfetto_write(FILE *out, struct trace_reader *r, const struct lock_history *h, struct rf_error *err);

#endif

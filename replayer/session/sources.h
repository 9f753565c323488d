// The source files that a verdict quotes, put into the trace: so that it explains itself on another machine.
#ifndef REFORK_REPLAYER_SESSION_SOURCES_H
#define REFORK_REPLAYER_SESSION_SOURCES_H

#include "core/error.h"
#include "replayer/verdict/verdict.h"

// Adds each file that a frame of the verdict names, as far as it is on this disk, readable and below 1 MiB,
// as the blob "source:/abs/path". No trace may be open for writing at that path; readers that are open keep
// what they have. 0, also when there is nothing to add; -1 with the trace as it was.
int sources_attach(const char *trace_path, const struct verdict *v, struct rf_error *err);

#endif

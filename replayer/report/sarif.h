// Verdicts as SARIF 2.1.0, for the tools that show results of analyses beside the sources.
#ifndef REFORK_REPLAYER_REPORT_SARIF_H
#define REFORK_REPLAYER_REPORT_SARIF_H

#include "replayer/verdict/verdict.h"

#include <jansson.h>

// One run of the log: the verdict on the trace `path`. Sources below `folder` (absolute, no slash at its end) get
// addresses relative to it. The caller's; NULL when out of memory.
json_t *report_sarif_run(const struct verdict *v, const char *path, const char *folder);

// The log around `runs` (an array, taken over; NULL: out of memory); the caller's, NULL when out of memory.
json_t *report_sarif_log(json_t *runs);

#endif

// Waits that another process could end: for a child, a pipe, a lock of a file or in shared memory.
#ifndef REFORK_REPLAYER_VERDICT_OTHER_PROCESS_H
#define REFORK_REPLAYER_VERDICT_OTHER_PROCESS_H

#include "replayer/verdict/case.h"

// Fills `other`, and of locks of files and in shared memory the holder.
int other_process_look(struct analysis *a, struct rf_error *err);
// Findings about those that nothing else explains.
int other_process_findings(struct analysis *a, struct rf_error *err);

#endif

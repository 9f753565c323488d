// A child that crashed in data under a lock that a vanished thread held at the fork.
#ifndef REFORK_REPLAYER_VERDICT_CRASH_LOCK_H
#define REFORK_REPLAYER_VERDICT_CRASH_LOCK_H

#include "replayer/verdict/case.h"

// Findings about children that crashed, those of crash_data.h included.
int crash_look(struct analysis *a, struct rf_error *err);

#endif

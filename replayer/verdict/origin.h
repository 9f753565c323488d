// Where a lock comes from: its initialisation, the allocation of its memory.
#ifndef REFORK_REPLAYER_VERDICT_ORIGIN_H
#define REFORK_REPLAYER_VERDICT_ORIGIN_H

#include "replayer/verdict/case.h"

// Fills `initialised`.
int origin_initialised(struct analysis *a, struct waiter *w, struct rf_error *err);
// Fills `allocated` of the findings' unnamed locks, as far as that takes little time.
int origin_allocations(struct analysis *a, struct rf_error *err);

#endif

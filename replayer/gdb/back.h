// Backward: a replay cannot run backward, so the last stop before a place is found by running up to that place and
// keeping the last one met on the way.
#ifndef REFORK_REPLAYER_GDB_BACK_H
#define REFORK_REPLAYER_GDB_BACK_H

#include "replayer/gdb/arrivals.h"

// The place that GO_BACK stops at. 1 found (*stop says why), 0 there is none, -1.
int back_find_stop(struct stops *s, struct place *found, struct stop *stop, struct rf_error *err);
// The place of the instruction that task `tid` executed before `from`. 1, 0 none, -1.
int back_find_step(struct stops *s, int tid, const struct place *from, struct place *found,
                   struct rf_error *err);
// `p` with one leg. 0 or -1.
int back_resolve(struct stops *s, struct place *p, struct rf_error *err);

#endif

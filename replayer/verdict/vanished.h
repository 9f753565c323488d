// The threads that a fork did not take along, and what each left in the child.
#ifndef REFORK_REPLAYER_VERDICT_VANISHED_H
#define REFORK_REPLAYER_VERDICT_VANISHED_H

#include "replayer/verdict/case.h"

// Fills `vanished` of each finding with a fork, and says which fork handlers there are.
int vanished_fill(struct analysis *a, struct rf_error *err);

#endif

// Findings from the case: orphans, cycles, wakers that vanished, and what is left; in the order of their weight.
#ifndef REFORK_REPLAYER_VERDICT_FINDINGS_H
#define REFORK_REPLAYER_VERDICT_FINDINGS_H

#include "replayer/verdict/case.h"

// Fills verdict->findings, spans and deadlock.
int findings_make(struct analysis *a, struct rf_error *err);

#endif

// The verdict on a trace of rr: what is stuck at its end, and who held the lock, by going back in its replay.
#ifndef REFORK_REPLAYER_RR_VERDICT_H
#define REFORK_REPLAYER_RR_VERDICT_H

#include "replayer/diagnose/diagnose.h"
#include "replayer/rr/trace.h"

// *out belongs to the caller (diagnosis_free); its verdict's events are rr's. -1: nothing of the trace can be replayed.
int rr_verdict(const struct rr_trace *t, struct diagnosis **out, struct rf_error *err);

#endif

// The fork gate. Its plan is in recorder/plan/schedule.h, its outcome in recorder/options.h.
#ifndef REFORK_RECORDER_PLAN_GATE_H
#define REFORK_RECORDER_PLAN_GATE_H

#include "recorder/options.h"

struct recorder;

// "never-concurrent", "child-stuck", ...
const char *gate_verdict_name(enum gate_verdict verdict);

void gate_begin(struct recorder *r);
void gate_free(struct recorder *r);

// ---- for places.c, which finds the plan's places in modules
bool gate_wants_sites(const struct recorder *r);
// The acquire site has been found; `problem`: why there can be no breakpoint.
void gate_site(struct recorder *r, const char *problem);
// The acquire site's breakpoint is to be on from the begin.
bool gate_acquire_matters(const struct recorder *r);
void gate_word(struct recorder *r, uint64_t address); // where the plan's lock word is
void gate_from(struct recorder *r, uint64_t address); // a place of the plan's `from` list has been found

#endif

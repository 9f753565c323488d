// The places that a schedule names.
#ifndef REFORK_RECORDER_PLAN_PLACES_H
#define REFORK_RECORDER_PLAN_PLACES_H

struct recorder;

// Finds them in what is mapped from now on. The recording has a schedule.
void places_begin(struct recorder *r);

#endif

// A thread that spins on a word.
#ifndef REFORK_REPLAYER_DIAGNOSE_SPIN_H
#define REFORK_REPLAYER_DIAGNOSE_SPIN_H

#include "replayer/diagnose/wait.h"

// If all threads but one sleep so that only that one could wake them: does it spin? Fills its wait. Before party_close.
void spin_diagnose(struct diagnosis *d, struct party *p);

#endif

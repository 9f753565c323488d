// PR_SET_MDWE: memory that was written is not executed. The kernel does not get it: it would forbid refork's own mappings.
#ifndef REFORK_RECORDER_EMULATE_MDWE_H
#define REFORK_RECORDER_EMULATE_MDWE_H

#include "recorder/state.h"

// From then on it is set and obeyed. Behind seccomp_begin: a filter may forbid it.
void mdwe_begin(struct recorder *r);

#endif

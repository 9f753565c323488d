// seccomp(2) of the program's own: what it asks for, and what its filters then say about each call.
#ifndef REFORK_RECORDER_EMULATE_SECCOMP_H
#define REFORK_RECORDER_EMULATE_SECCOMP_H

#include "recorder/state.h"

// From then on filters are installed and obeyed.
void seccomp_begin(struct recorder *r);

#endif

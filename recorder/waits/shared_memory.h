// Who can reach a futex word besides its own address space?
#ifndef REFORK_RECORDER_WAITS_SHARED_MEMORY_H
#define REFORK_RECORDER_WAITS_SHARED_MEMORY_H

#include "recorder/state.h"

enum reach {
    REACH_OWN,    // nobody
    REACH_FAMILY, // processes of the recording alone
    REACH_NAMED,  // nobody else has it now, but anybody could map it
    REACH_ANYBODY,
};

// Of the word at `address` in the address space of `tid`. Reads /proc; what it finds out about strangers is good for 200 ms.
enum reach shared_memory_reach(struct recorder *r, int tid, uint64_t address);

#endif

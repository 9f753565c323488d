// Was a semaphore made anew? By the calls of sem_init: its value says nothing (0 before and after), and where others write beside it
// all the time, stores to it cannot be watched on every machine.
#ifndef REFORK_REPLAYER_VERDICT_SEM_INITS_H
#define REFORK_REPLAYER_VERDICT_SEM_INITS_H

#include "replayer/verdict/holder.h"

// *met: sem_init was called for it in `span` in its address space, or it cannot be told (no such function is known). 0 or -1.
int sem_inits_met(const struct watched_lock *lock, struct event_span span, bool *met, struct rf_error *err);

#endif

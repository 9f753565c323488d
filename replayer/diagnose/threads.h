// A process' threads as glibc's own memory has them: also those that a fork left behind.
#ifndef REFORK_REPLAYER_DIAGNOSE_THREADS_H
#define REFORK_REPLAYER_DIAGNOSE_THREADS_H

#include "replayer/diagnose/wait.h"

// Finds glibc's threads in memory: tcbs, offsets, vanished.
void threads_find(struct diagnosis *d, struct party *p);
// Who the lock's owner `tid`, that is no thread of p, is: a thread of an ancestor that is older than p.
bool threads_ancestor(struct diagnosis *d, const struct party *p, int tid, struct finding_task *out);
// Fills f->vanished with the threads that a fork left behind.
void threads_tell_vanished(struct diagnosis *d, const struct party *p, struct finding *f);
size_t threads_index(const struct party *p, int inside); // NO_THREAD: it has none

#endif

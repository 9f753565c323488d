// The CPUs that the program is told of: those that it would see alone, although one task of it runs at a time.
#ifndef REFORK_RECORDER_CPUS_H
#define REFORK_RECORDER_CPUS_H

#include "recorder/state.h"
#include "recorder/task.h"

// Before refork pins itself to one CPU: remembers those that it might use.
void cpus_remember(struct recorder *r);
// A sched_getaffinity of t has returned `ret`: what it wrote becomes the CPUs of that task.
void cpus_tell(struct recorder *r, struct task *t, int64_t ret);
// With `record --cpus N`: a call of t has returned `ret`. The kernel's lists of CPUs become 0 to N-1, and getcpu's one of them.
// Returns the result that the call has then.
int64_t cpus_told(struct recorder *r, struct task *t, int64_t ret);
// A sched_setaffinity of t, which never reaches the kernel. Returns its result.
int64_t cpus_choose(struct recorder *r, struct task *t);

#endif

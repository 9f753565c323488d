// Could another thread of the waiting process end a wait that nobody holds anything of? Its code is read, not executed.
#ifndef REFORK_REPLAYER_VERDICT_IDLE_THREADS_H
#define REFORK_REPLAYER_VERDICT_IDLE_THREADS_H

#include "replayer/verdict/case.h"

// True only when all ways through the code that each other thread of the process of `w` comes to next, from its place at the
// timeline's position on, call nothing that wakes somebody. What is called by a pointer, by a system call of its own, or from a
// library that is not known counts as a waker; who joins the waiter does not come to it. (The main thread's return from main does.)
bool idle_threads_wake_nobody(struct analysis *a, const struct waiter *w);

#endif

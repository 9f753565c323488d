// Could a task that goes on release a lock that it has not taken? A normal mutex and a semaphore let it.
#ifndef REFORK_REPLAYER_VERDICT_RELEASER_H
#define REFORK_REPLAYER_VERDICT_RELEASER_H

#include "replayer/verdict/case.h"

// Whether the code that `tid` comes to next, from its place at the timeline's position on, releases the lock at `lock` (or one
// that cannot be told apart from it) before it takes any itself. Code is read, not executed: direct branches and calls are
// followed; what is called by a pointer is taken to keep the rule that a lock is released by who took it.
bool releaser_ahead(struct analysis *a, int tid, uint64_t lock);
// The same of a task with this stack.
bool releaser_in(struct symbols *symbols, const struct view *view, const struct frame *frames, size_t n,
                 uint64_t lock);

#endif

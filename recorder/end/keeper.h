// What the program leaves behind when it ends goes on living, in the care of a process of its own: the keeper. The tasks cannot
// be let go for good: their seccomp filter stops each call and answers ENOSYS when no tracer is there, and what refork answers
// itself (a seccomp filter of the program's own, the clock's traps) must go on being answered. So the keeper is the recorder,
// without a recording: a copy of it, made by fork, that attaches to the tasks and runs the same loop until the last one is gone.
#ifndef REFORK_RECORDER_END_KEEPER_H
#define REFORK_RECORDER_END_KEEPER_H

#include "recorder/state.h"

// The loop has ended with r->let_go: hands all tasks over to a keeper. Returns when it has them; r has no tasks then. False: they cannot be handed over now
// (one of them cannot be stopped), nothing has changed, and the loop may go on.
bool keeper_takes_over(struct recorder *r);

#endif

// Sockets of which a call that reads or writes never waits: the program asks them nothing before it makes such a call by itself.
#ifndef REFORK_RECORDER_CALLS_QUICK_H
#define REFORK_RECORDER_CALLS_QUICK_H

#include "recorder/task.h"

// A call of t has returned `ret`, which is no error: notes in its memory what became of a descriptor.
void quick_sockets(struct task *t, int64_t ret);

#endif

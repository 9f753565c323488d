// Locks in memory that processes share, and semaphores of System V, whose holder has ended.
#ifndef REFORK_REPLAYER_VERDICT_DEAD_HOLDER_H
#define REFORK_REPLAYER_VERDICT_DEAD_HOLDER_H

#include "replayer/verdict/case.h"

// Of a semaphore in shared memory (w->ref.shared): a process that has taken more permits than it has given back, the one
// that ended before others; tid 0: none. Fills w->posts: others post it than those who take it. Moves the timeline. 0 or -1.
int dead_find_permit(struct analysis *a, struct waiter *w, struct holder *out, struct rf_error *err);

// The same of a semaphore of System V; fills w->lock, who and acquired. Calls with SEM_UNDO do not count: the kernel
// gives their permits back. Moves the timeline. 0 or -1.
int dead_look_at_sysv(struct analysis *a, struct waiter *w, struct rf_error *err);

// Nobody holds what w waits for in shared memory: fills w->wakers with processes that had it, too, and have ended. Moves
// the timeline. 0 or -1.
int dead_wakers_find(struct analysis *a, struct waiter *w, struct rf_error *err);

// Nobody holds what w waits for in its own memory, and no vanished thread is missed: fills w->wakers (and ended_wakers) with
// the thread of the process that changed it last, if that has ended. Moves the timeline. 0 or -1.
int dead_threads_find(struct analysis *a, struct waiter *w, struct rf_error *err);

// How process `pid`, or else its thread `tid`, ended in the events (from, until]; event 0: it did not. Moves the timeline.
struct finding_end dead_end(struct analysis *a, int pid, int tid, uint64_t from, uint64_t until);

// Who sent `pid` the signal before end->event: the last one that it fits, into end->by. Moves the timeline.
void dead_sender(struct analysis *a, struct finding_end *end, int pid, int signal);

// Adds the finding if the holder, or who would have ended the wait, has ended. Returns whether it did. Moves the timeline.
bool dead_make(struct analysis *a, struct waiter *w);

#endif

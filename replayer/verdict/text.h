// What the verdict says in words: the lock's name and place, the advice.
#ifndef REFORK_REPLAYER_VERDICT_TEXT_H
#define REFORK_REPLAYER_VERDICT_TEXT_H

#include "replayer/verdict/history.h"
#include "replayer/locks/kinds.h"
#include "replayer/verdict/verdict.h"

// Fills all but `allocated` from the memory map of `tid` at the timeline's position.
void text_lock(struct timeline *t, const struct history *h, int tid, const struct lock_ref *ref,
               struct finding_lock *out);

// Fills f->reason.
void text_reason_waker(struct finding *f, const struct lock_ref *ref);
void text_reason_child_handler(struct finding *f);
// `child`: PID of a process that a fork made, in which all of the cycle is; 0: in none.
void text_reason_cycle(struct finding *f, int child);
// `signal`: its number, 0: not known.
void text_reason_handler(struct finding *f, int signal, const struct lock_ref *ref);
void text_reason_fiber(struct finding *f);
void text_reason_gscope(struct finding *f);
void text_reason_gil(struct finding *f);
void text_reason_torn(struct finding *f);
// `again`: the event in which the thread went on to change it, in the parent.
void text_reason_torn_data(struct finding *f, uint64_t again);
void text_reason_pipe(struct finding *f, int fd, bool socket);
// Whoever took the lock (of a file, else in shared memory) has ended.
void text_reason_left(struct finding *f, bool file);
// f->holder ended (f->end) with the lock. `readers`: how many more hold it.
void text_reason_dead(struct finding *f, const struct lock_ref *ref);
// The first of f->wakers ended (f->end); nobody holds anything.
void text_reason_dead_waker(struct finding *f, const struct lock_ref *ref);
// The thread of f->wakers ended (f->end), and nobody else of the process changes what is waited for.
void text_reason_ended_thread(struct finding *f);
// Adds that `by` waits for the end of this thread.
void text_reason_joined(struct finding *f, const struct finding_task *by);
// Process `other` waits in turn.
void text_reason_mutual(struct finding *f, int other);
// What the lock is called in a sentence; where its name has an address in it, which says less, "the lock".
const char *text_the_lock(const struct finding *f);

#endif

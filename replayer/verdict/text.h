// What the verdict says in words: the lock's name and place, the advice.
#ifndef REFORK_REPLAYER_VERDICT_TEXT_H
#define REFORK_REPLAYER_VERDICT_TEXT_H

#include "replayer/verdict/history.h"
#include "replayer/locks/kinds.h"
#include "replayer/verdict/verdict.h"

// Fills all but `allocated` from the memory map of `tid` at the timeline's position.
void text_lock(struct timeline *t, const struct history *h, int tid, const struct lock_ref *ref,
               struct finding_lock *out);

enum advice {
    ADVICE_ORPHAN,        // a vanished thread holds it
    ADVICE_FORKER,        // the forking thread itself holds it
    ADVICE_NOT_SEEN,      // held at the fork, by whom was not seen
    ADVICE_ENDED,         // the holder ended and never released it
    ADVICE_HELD,          // the holder lives, and is not known to be stuck on a lock
    ADVICE_CYCLE,         // lock order
    ADVICE_SELF,          // one thread, one lock
    ADVICE_ATFORK,        // fork handlers against another thread
    ADVICE_ATFORK_SELF,   // a fork handler wants what the forking thread has
    ADVICE_FORK_HELD,     // fork() waits for a lock whose holder lives
    ADVICE_CROSS,         // waits for a stuck process
    ADVICE_SHARED,        // a lock in shared memory
    ADVICE_WAKER,         // who would have ended the wait vanished
    ADVICE_CHILD_HANDLER, // an atfork child handler hangs
    ADVICE_TORN,          // crashed in half-changed data
    ADVICE_TORN_DATA,     // the same, without a lock
    ADVICE_PIPE,          // a pipe's end is kept open
    ADVICE_FILE_LOCK,     // of flock or fcntl
    ADVICE_MUTUAL,        // processes that wait for each other
    ADVICE_DEAD,          // a lock in shared memory, or of System V, whose holder ended
    ADVICE_ENDED_THREAD,  // who would have changed it is a thread that ended
    ADVICE_UNKNOWN,
};
// Fills f->reason.
void text_reason_waker(struct finding *f, const struct lock_ref *ref);
void text_reason_child_handler(struct finding *f);
// `child`: PID of a process that a fork made, in which all of the cycle is; 0: in none.
void text_reason_cycle(struct finding *f, int child);
void text_reason_fiber(struct finding *f);
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
// Adds the registered fork handlers (`text`, at most `shown` of `count`) to the advice, where it speaks of handlers.
void text_handlers(struct finding *f, const char *text, size_t count, size_t shown);
// `waiters`: more tasks that wait for the same thing.
void text_advice(struct finding *f, enum advice which, const struct lock_ref *ref, size_t waiters);

#endif

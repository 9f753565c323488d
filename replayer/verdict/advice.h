// What to do about a finding.
#ifndef REFORK_REPLAYER_VERDICT_ADVICE_H
#define REFORK_REPLAYER_VERDICT_ADVICE_H

#include "replayer/locks/kinds.h"
#include "replayer/verdict/verdict.h"

enum advice {
    ADVICE_ORPHAN,        // a vanished thread holds it
    ADVICE_FORKER,        // the forking thread itself holds it
    ADVICE_NOT_SEEN,      // held at the fork, by whom was not seen
    ADVICE_ENDED,         // the holder ended and never released it
    ADVICE_HELD,          // the holder lives, and is not known to be stuck on a lock
    ADVICE_CYCLE,         // lock order
    ADVICE_SELF,          // one thread, one lock
    ADVICE_HANDLER,       // a handler takes what the code that it interrupted holds
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
    ADVICE_DEAD_WAY, // part of ADVICE_DEAD
};

// Fills f->advice from advice.def. `waiters`: more tasks that wait for the same thing.
void advice_give(struct finding *f, enum advice which, const struct lock_ref *ref, size_t waiters);
// Adds the registered fork handlers (`text`, at most `shown` of `count`) where the advice speaks of handlers.
void advice_add_handlers(struct finding *f, const char *text, size_t count, size_t shown);

#endif

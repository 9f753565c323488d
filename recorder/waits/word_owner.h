// Locks whose word says who owns them: glibc's mutexes, and rwlocks while a writer has them. When the owner will never come back
// (a fork left it behind, it has ended, or it waits itself for such a lock, or in a circle) the wait is for ever, whatever others
// do. This is read from memory, without a replay, so it does not matter how long the recording is.
#ifndef REFORK_RECORDER_WAITS_WORD_OWNER_H
#define REFORK_RECORDER_WAITS_WORD_OWNER_H

#include "recorder/state.h"

struct word_owners;

// Does t sleep in a futex call on a word of glibc's rwlock, as one sleeps who wants the lock?
bool word_of_rwlock(const struct task *t);
// At a turn of the engine: looks at tasks that have slept for long. True: some were found to wait for ever (second_look_says).
bool word_owner_turn(struct recorder *r);
// Is there something to look at?
bool word_owner_due(const struct recorder *r);
// What t waits for, when that was seen here; "". Good until the next turn.
const char *word_owner_tells(const struct recorder *r, const struct task *t);
void word_owner_end(struct recorder *r);

#endif

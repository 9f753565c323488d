// One pass over the recording with breakpoints on all lock sites. Private to this folder.
#ifndef REFORK_REPLAYER_LOCKS_PASS_H
#define REFORK_REPLAYER_LOCKS_PASS_H

#include "replayer/engine/breakpoints.h"
#include "replayer/locks/history.h"

struct lock_pass;

// An access of a task to a lock word, or a call that took or freed a lock, before the history gets it.
// hit->regs is NULL when it was noted without a stop, as number `index` of its slice (replay_note_pause).
typedef void (*lock_pass_observer)(void *context, struct lock_pass *p, const struct break_hit *hit,
                                   uint64_t address, uint64_t index);

struct lock_pass *lock_pass_new(struct timeline *t, struct lock_history *h,
                                const struct lock_functions *functions, bool cache);
void lock_pass_free(struct lock_pass *p);
// Only accesses are told, no history is made. `paused`: see struct break_client.
void lock_pass_observe(struct lock_pass *p, lock_pass_observer observer,
                       void (*paused)(void *context, struct replay *r, const struct break_hit *hit),
                       void *context);
// history->touches is made as well.
void lock_pass_touches(struct lock_pass *p);
// Every access stops the task.
void lock_pass_stops(struct lock_pass *p);
void lock_pass_tasks(struct lock_pass *p, struct replay *r); // notes who was there, at the end
struct break_client lock_pass_client(struct lock_pass *p);

#endif

// Signal handlers that could run in the middle of a wait: could one of them end it? Its code is followed from its entry on,
// every way that it might take.
#ifndef REFORK_REPLAYER_VERDICT_HANDLERS_H
#define REFORK_REPLAYER_VERDICT_HANDLERS_H

#include "replayer/verdict/case.h"
#include "replayer/verdict/code_walk.h"

// Looks at all handlers that the process of w has at w's STUCK event. CANNOT: there are none, or none of them ends the wait.
// UNKNOWN: one of them goes where its code cannot be followed. RELEASES: one of them gives back a lock that may be this
// one, or leaves the wait by a long jump. 0 or -1. Moves the timeline.
int handlers_reach(struct analysis *a, const struct waiter *w, enum handler_reach *out, struct rf_error *err);

// Is it a signal that somebody else may send? The others come from what the code does itself, or are glibc's own.
bool handlers_come_from_outside(int signal);
// The handler at `entry` alone. `first`: no other one was set for this signal since the program began.
enum handler_reach handlers_walk(const struct code *c, const struct lock_ref *lock, int signal, bool first,
                                 uint64_t entry);

#endif

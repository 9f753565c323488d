// Signal handlers that could run in the middle of a wait: could one of them end it? Its code is followed from its entry on,
// every way that it might take.
#ifndef REFORK_REPLAYER_VERDICT_HANDLERS_H
#define REFORK_REPLAYER_VERDICT_HANDLERS_H

#include "replayer/verdict/case.h"

// Looks at all handlers that the process of w has at w's STUCK event. CANNOT: there are none, or none of them ends the wait.
// UNKNOWN: one of them goes where its code cannot be followed. RELEASES: one of them gives back a lock that may be this
// one, or leaves the wait by a long jump. 0 or -1. Moves the timeline.
int handlers_reach(struct analysis *a, const struct waiter *w, enum handler_reach *out, struct rf_error *err);

#endif

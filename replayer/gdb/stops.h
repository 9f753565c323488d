// A replay that goes from stop to stop, forward and backward, with breakpoints, watchpoints and single steps: what a
// debugger needs. It knows nothing of any debugger's protocol. What may be asked and set at a stop is in arrivals.h.
#ifndef REFORK_REPLAYER_GDB_STOPS_H
#define REFORK_REPLAYER_GDB_STOPS_H

#include "replayer/gdb/arrivals.h"

// The timeline stays the caller's; nobody else moves it or sets breakpoints meanwhile.
struct stops *stops_new(struct timeline *t, const struct stops_client *client);
void stops_free(struct stops *s);

// Goes to event `event`, tells the client, and does what it says until it says GO_QUIT. 0 or -1 (the replay diverged,
// a damaged trace).
int stops_run(struct stops *s, uint64_t event, struct rf_error *err);

#endif

// A replay of rr that stands at a moment of one process.
#ifndef REFORK_REPLAYER_RR_PLACE_H
#define REFORK_REPLAYER_RR_PLACE_H

#include "replayer/diagnose/wait.h"
#include "replayer/rr/remote.h"
#include "replayer/rr/trace.h"

struct rr_place {
    struct rr_server server;
    struct remote *remote;
    struct party party; // its snapshot alone; rr_place_connect leaves it out
};

// Right behind `event`, in the process of `first`. 0, or -1 with nothing open.
int rr_place_connect(const struct rr_trace *t, const struct rr_task *first, uint64_t event,
                     struct rr_place *out, struct rf_error *err);
int rr_place_open(const struct rr_trace *t, struct diagnosis *d, const struct rr_task *first, uint64_t event,
                  struct rr_place *out, struct rf_error *err);
// At the process's end, with all of its threads.
int rr_place_end(const struct rr_trace *t, struct diagnosis *d, const struct rr_task *first,
                 struct rr_place *out, struct rf_error *err);
void rr_place_close(struct rr_place *p);
// Closes it, with rr's own words added to *err. Returns -1.
int rr_place_failed(struct rr_place *p, struct rf_error *err);

// The stack of a task right behind an event: the number of frames, whose strings are d's; or -1.
int rr_place_stack(const struct rr_trace *t, struct diagnosis *d, uint64_t event, int tid, struct frame *out,
                   size_t max, struct rf_error *err);

#endif

// A process in a replay of rr, as `refork diagnose` sees a process.
#ifndef REFORK_REPLAYER_RR_SNAPSHOT_H
#define REFORK_REPLAYER_RR_SNAPSHOT_H

#include "replayer/diagnose/snapshot.h"
#include "replayer/rr/remote.h"
#include "replayer/rr/trace.h"

// The process of `first`, where the remote stands. The remote stays the caller's; `files` too.
int rr_snapshot(const struct rr_trace *t, const struct rr_task *first, struct remote *remote,
                struct file_store *files, struct snapshot **out, struct rf_error *err);

#endif

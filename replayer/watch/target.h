// Which processes are watched.
#ifndef REFORK_REPLAYER_WATCH_TARGET_H
#define REFORK_REPLAYER_WATCH_TARGET_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct watch_target {
    int pid;            // this process and all its descendants; 0: not by PID
    uint64_t start;     // its start, so that another process with that PID is not taken for it
    const char *name;   // processes with this name or this file name, and their descendants; or NULL
    const char *cgroup; // the folder of a control group, with the groups below it; or NULL
};

// Fills *out for process `pid`. 0, or -1: there is none.
int watch_target_pid(int pid, struct watch_target *out, struct rf_error *err);
// Fills *out for the control group `name`: a folder, or a path below the mounts in /sys/fs/cgroup. `room` holds the folder's
// name then. 0, or -1: there is none.
int watch_target_cgroup(const char *name, char *room, size_t size, struct watch_target *out,
                        struct rf_error *err);

// The PIDs that the target has now, ascending, each once; from malloc. refork itself is not among them.
int *watch_target_list(const struct watch_target *target, size_t *count);

#endif

// gdb's remote serial protocol over a replay: registers, memory, breakpoints, forward and backward.
#ifndef REFORK_REPLAYER_GDB_SERVER_H
#define REFORK_REPLAYER_GDB_SERVER_H

#include "replayer/timeline.h"

// Where gdb was when it went away.
struct gdb_left {
    uint64_t event; // the last one that was over
    int tid;        // the task in focus
};

struct gdb_options {
    uint64_t event;        // where it begins: right behind this event
    int pid;               // the process that gdb is shown; it lives there
    int tid;               // the task in focus, 0: any of it
    struct gdb_left *left; // NULL: nobody asks
};

// Serves one gdb on the connected stream socket `fd` until it goes away. The trace at `path` is the timeline's. 0 or -1
// (the replay diverged: gdb has been told).
int gdb_serve(int fd, struct timeline *t, const char *path, const struct gdb_options *options,
              struct rf_error *err);

#endif

// Where a replay under a debugger has stopped, and how it is to go on.
#ifndef REFORK_REPLAYER_GDB_STOP_H
#define REFORK_REPLAYER_GDB_STOP_H

#include "replayer/gdb/place.h"

#include <sys/types.h>

enum stop_reason {
    STOP_START,      // the first one, or a place that was asked for
    STOP_BREAKPOINT, // `address`: about to execute that instruction
    STOP_WATCH, // `address`, `watch`: these bytes have changed or were read, or (backward) are about to be
    STOP_STEP,  // one instruction on, or back
    STOP_INTERRUPT,      // the user asked for it
    STOP_BEGIN,          // backward: there is nothing before
    STOP_END,            // forward: the process ends here, or the recording does
    STOP_FORK,           // `child`: process id of the new process
    STOP_VFORK,          // the same, and it has its parent's memory until it executes a program or ends
    STOP_EXEC,           // a new program is there, or (backward) the one before
    STOP_SIGNAL,         // `nr`: a signal is about to come
    STOP_SYSCALL_ENTRY,  // `nr`: about to make that call
    STOP_SYSCALL_RETURN, // `nr`: it has returned
};

struct stop {
    enum stop_reason reason;
    int tid; // the task that it is about; it lives
    uint64_t address;
    long nr;
    int child;
    enum watch_kind watch; // WATCH: what was watched for
    // The event that it is about, where that is not made yet; else 0. Once told, it is not told again on the way forward.
    uint64_t ahead;
};

enum go {
    GO_ON,
    GO_STEP,  // task `tid`: one instruction
    GO_RANGE, // task `tid`: until its pc leaves [start, end)
    GO_BACK,
    GO_STEP_BACK,
    GO_EVENT, // right behind event `event`
    GO_PLACE, // `place`
    GO_QUIT,
};

struct command {
    enum go go;
    int tid;
    uint64_t start, end;
    uint64_t event;
    struct place place;
};

struct stops_client {
    // At each stop, also from inside of the engine: reads what it wants (functions below), sets breakpoints, and
    // returns how to go on.
    struct command (*stopped)(void *context, const struct stop *stop);
    // Now and then while it runs: true asks for a stop.
    bool (*interrupted)(void *context);
    void *context;
};

#endif

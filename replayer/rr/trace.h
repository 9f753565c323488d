// A trace directory of rr: who lived when, by rr's own `rr dump`.
#ifndef REFORK_REPLAYER_RR_TRACE_H
#define REFORK_REPLAYER_RR_TRACE_H

#include "core/event.h"
#include "replayer/rr/process.h"

#include <stdint.h>

struct rr_task {
    int tid, pid;        // pid: of its process
    int parent;          // the task that made it; 0: the first one
    uint64_t born, died; // events; died 0: not recorded
    uint64_t entered;    // its last system call; 0: none
    bool in_call;        // which it did not come back from
    uint64_t last;       // its last event but for its end
    uint64_t rip, rsp;   // there
    int status;          // how it ended, as waitpid has it
    bool forked;         // it is the first of a process that a fork made, and has not called exec since
    bool shares_memory;  // ... of a vfork
};

struct rr_frame {
    uint64_t event, time_us;
    int tid;
    uint8_t kind;  // enum event_kind that comes nearest
    char text[51]; // as rr has it: "futex (ENTERING_SYSCALL)"
};

struct rr_trace {
    char path[4096];
    char command[512], options[512]; // that replay it: "rr", "-W"
    char recorder[512];              // the command that recorded it, as the trace says: never to be run
    struct rr_task *tasks;           // by birth
    size_t count;
    struct rr_frame *frames; // by event
    size_t frame_count;
    uint64_t last; // event
    char program[256];
};

// Does it look like a trace of rr, whatever is in it?
bool rr_is_trace(const char *path);
// Says in the trace what made it, for those who replay it.
void rr_trace_note(const char *path, const char *command, const char *options);
// Runs `rr dump`. `command`: which rr; a trace may come from anybody, so the one that it names is not run. `options` to replay: NULL
// for -W where the trace says that it was recorded so. Release it in any case.
int rr_trace_open(const char *path, const char *command, const char *options, struct rr_trace *out,
                  struct rf_error *err);
void rr_trace_release(struct rr_trace *t);

// The task with that TID that lived at `event` (0: at the end, the last one of them); NULL.
const struct rr_task *rr_trace_task(const struct rr_trace *t, int tid, uint64_t event);
// Which process its process was forked from, and in which task; NULL: the recording begins with it.
const struct rr_task *rr_trace_forker(const struct rr_trace *t, const struct rr_task *first);

// Where a process can be seen at its end with all of its threads: right behind `event`; 0: at the very end, since one thread is
// all there is. Then `task` (or NULL) has to go on to its last system call, where its registers are known.
struct rr_end {
    uint64_t event;
    const struct rr_task *task;
};
struct rr_end rr_trace_end(const struct rr_trace *t, const struct rr_task *first);

// The last event of a thread of the process, but for their ends.
uint64_t rr_trace_last(const struct rr_trace *t, const struct rr_task *first);

// A server for the process of `first`, its first task: right behind `event` (rr's -g), or at its end (0).
int rr_trace_serve(const struct rr_trace *t, const struct rr_task *first, uint64_t event,
                   struct rr_server *out, struct rf_error *err);

#endif

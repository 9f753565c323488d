// The replay engine: one kernel task per address space, threads are register files. One step executes one
// event and checks it. No locks, no symbols in here.
#ifndef REFORK_REPLAYER_ENGINE_REPLAY_H
#define REFORK_REPLAYER_ENGINE_REPLAY_H

#include "core/error.h"
#include "core/event.h"
#include "core/trace/trace_read.h"
#include "core/view.h"

#include <stdio.h>

struct replay;

struct replay_options {
    FILE *echo_out, *echo_err; // where what the program wrote to its stdout and stderr goes; NULL: nowhere
    bool paranoid;             // check the memory digests of the trace
    FILE *log;                 // logs each stop; NULL: no
    bool no_probes; // the task stops at each breakpoint and call, also where it could go on by itself
};

// A task of the recording, dead ones included.
struct replay_task {
    int tid, pid;
    int parent_tid;
    uint64_t birth, death; // events; death 0: alive at the replay's position (or never seen to die)
    uint64_t last_event;   // last event of this task so far
    char name[16];         // comm: exec's basename, prctl(PR_SET_NAME)
    bool in_syscall;       // between ENTER and EXIT
    long nr;               // of that call, or the last one
    uint64_t args[6];
    struct user_regs_struct regs; // valid through replay_task_regs
};

int replay_open(const char *path, const struct replay_options *options, struct replay **out,
                struct rf_error *err);
void replay_close(struct replay *r);
// As with options.no_probes, from now on.
void replay_without_probes(struct replay *r);

// Executes the next event: 1 done, 0 at the end of the trace, -1 (RF_DIVERGED with both sides in the text,
// RF_BAD_TRACE, ...).
int replay_step(struct replay *r, struct rf_error *err);
// The same, but may execute more events at once, up to the one with the number `last`.
int replay_run(struct replay *r, uint64_t last, struct rf_error *err);
// The event that the last step executed (replay_run: without its pieces); valid until the next step. Its number is the position. NULL at the
// start.
const struct event *replay_event(const struct replay *r);
// From now on `at_entry` is told when a task stands at the entry of a call (SYSCALL and ENTER): before the call has done
// anything, so memory has what the kernel will read. With replay_step alone.
void replay_watch_calls(struct replay *r, void (*at_entry)(void *context, const struct event *e),
                        void *context);
uint64_t replay_position(const struct replay *r);
struct trace_reader *replay_trace(struct replay *r);

size_t replay_task_count(const struct replay *r);
const struct replay_task *replay_task_at(const struct replay *r, size_t i);
const struct replay_task *replay_task_find(const struct replay *r, int tid);
int replay_task_regs(struct replay *r, int tid, struct user_regs_struct *out, struct rf_error *err);
// Its extended registers (NT_X86_XSTATE), also in the middle of a step: the number of bytes, 0: unknown.
size_t replay_task_xstate(struct replay *r, int tid, void *out, size_t room);

// Memory and maps of the address space of task `tid`. The view is valid until the next step, seek or restore.
int replay_view(struct replay *r, int tid, struct view *out, struct rf_error *err);

// Reads memory of the space of a hit or mapping, without breakpoints; false: not mapped, or no such space.
bool replay_space_read(struct replay *r, uint32_t space, uint64_t address, void *buffer, size_t len);
// Is `address` in memory that processes share? Then they have the same object and offset.
bool replay_space_shared(struct replay *r, uint32_t space, uint64_t address, uint64_t *identity,
                         uint64_t *offset);
// Where the space has mapped that object's offset; false: nowhere.
bool replay_shared_mapped(struct replay *r, uint32_t space, uint64_t identity, uint64_t offset,
                          uint64_t *address);
// Reads such memory at the replay's position; false: nobody has mapped it yet.
bool replay_shared_read(struct replay *r, uint64_t identity, uint64_t offset, void *buffer, size_t len);
// The id of the address space of `tid`, 0: it does not live.
uint32_t replay_space_of(const struct replay *r, int tid);

#endif

// Virtual tasks: a thread of the recording is a register file; its space's kernel task executes it.
#ifndef REFORK_REPLAYER_ENGINE_VTASK_H
#define REFORK_REPLAYER_ENGINE_VTASK_H

#include "core/calls/fdtable.h"
#include "replayer/engine/replay.h"

struct space;

struct vtask {
    struct replay_task pub;
    struct replay *replay;
    struct space *space; // NULL: dead
    struct fdtable *fds;
    int comm_fd, comm_tid; // an open /proc/self/task/TID/comm; comm_tid 0: none
    bool at_entry;         // the kernel task would be at the syscall's entry with these registers
    int64_t restart;       // result of the last EXIT when it was one of the kernel's restart codes, else 0
    bool reads_run;        // its personality has READ_IMPLIES_EXEC
    bool
        trap_due; // it traces itself, and the last instruction was stepped or carried out: its SIGTRAP is next
    int stopped_by; // wait status of its kernel task's last stop
    size_t xstate_size;
    unsigned char *xstate;
};

struct vtask *vtask_find(const struct replay *r, int tid); // the live one, else the last dead one
// A new one, without a space; the replay's.
struct vtask *vtask_new(struct replay *r, int tid, int pid, uint64_t birth);
void vtask_free(struct vtask *v);
void vtask_leave_space(struct replay *r, struct vtask *v); // it dies, or execs
// Makes the kernel task hold its extended registers / saves those of the loaded one.
void vtask_load(struct vtask *v);
void vtask_unload(struct space *s);
// NT_X86_XSTATE as it is here.
void vtask_set_xstate(struct vtask *v, const void *data, size_t len);
// What an XSTATE piece holds. Returns the components that this CPU lacks (bit n: component n).
uint64_t vtask_unpack_xstate(struct vtask *v, const void *packed, size_t len);

#endif

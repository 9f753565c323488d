// A throw-away copy of a task and its memory, for what a debugger runs or writes by itself: a function that it calls, a
// variable that it changes. The recording goes on untouched; the copy is dropped.
#ifndef REFORK_REPLAYER_ENGINE_SCRATCH_H
#define REFORK_REPLAYER_ENGINE_SCRATCH_H

#include "replayer/engine/replay.h"

struct scratch;

// A copy of task `tid` as it is now, with the registers *regs. The task may be in the middle of a step. 0 or -1.
int scratch_new(struct replay *r, int tid, const struct user_regs_struct *regs, struct scratch **out,
                struct rf_error *err);
void scratch_free(struct scratch *s);
int scratch_tid(const struct scratch *s);

struct user_regs_struct *scratch_regs(struct scratch *s); // to be changed at will
// The extended registers (NT_X86_XSTATE): as many bytes as there are; and to be set.
size_t scratch_get_xstate(struct scratch *s, void *out, size_t room);
bool scratch_set_xstate(struct scratch *s, const void *bytes, size_t len);
// Breakpoints do not show in what is read.
bool scratch_read(struct scratch *s, uint64_t address, void *buffer, size_t len);
bool scratch_write(struct scratch *s, uint64_t address, const void *bytes, size_t len);
bool scratch_break(struct scratch *s, uint64_t address, bool on);

enum scratch_end {
    SCRATCH_BREAK,       // about to execute an instruction with a breakpoint
    SCRATCH_STEP,        // one instruction is done
    SCRATCH_SIGNAL,      // *signal: its instruction raised it
    SCRATCH_ENDED,       // it called exit
    SCRATCH_INTERRUPTED, // the caller asked for it
};
struct scratch_client {
    bool (*interrupted)(void *context);
    // What it writes to its standard output or error.
    void (*output)(void *context, const void *bytes, size_t len);
    void *context;
};
// Runs the copy, or one instruction of it. Memory calls are carried out in the copy; what else it asks of the kernel is
// refused with ENOSYS: it cannot touch the machine. A lock that another thread holds stays held.
enum scratch_end scratch_run(struct scratch *s, bool one, const struct scratch_client *client, int *signal);

#endif

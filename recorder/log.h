// Events, into the trace.
#ifndef REFORK_RECORDER_LOG_H
#define REFORK_RECORDER_LOG_H

#include "core/event.h"
#include "recorder/state.h"
#include "recorder/task.h"

void log_event(struct recorder *r, struct task *t, struct event *e);
void log_note(struct recorder *r, struct task *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The same of a call of t that is not made because refork does not record it: the verdict names it.
void log_refusal(struct recorder *r, struct task *t, int64_t answer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// An event in the making: pieces with copied data, freed by batch_log.
struct batch {
    struct event e;
    struct piece *pieces;
    size_t count, capacity;
    struct arena *arena;
};
void batch_init(struct recorder *r, struct batch *b, int kind, struct task *t);
void *batch_piece(struct batch *b, int kind, size_t len); // returns room for len bytes of data
struct piece *batch_last(struct batch *b);
// A MEM piece with what is in the tracee's memory now; false when unreadable (nothing added).
bool batch_mem(struct batch *b, struct task *t, int kind, uint64_t address, size_t len);
// Writes bytes into the tracee and adds the MEM piece.
bool batch_write(struct recorder *r, struct batch *b, struct task *t, uint64_t address, const void *bytes,
                 size_t len);
void batch_text(struct batch *b, int kind, const char *text, size_t len);
void batch_regs(struct batch *b, const struct user_regs_struct *regs);
void batch_xstate(struct recorder *r, struct batch *b, struct task *t);
void batch_log(struct recorder *r, struct task *t, struct batch *b);
void batch_release(struct recorder *r); // at the end of the recording
void canonical_regs(struct user_regs_struct *regs);

// A batch for the call that t is in, with its entry's registers.
void batch_entry(struct recorder *r, struct batch *b, int kind, struct task *t);
// The ENTER of r->deferred: the task whose call's entry is not in the trace yet. Before any other task's event.
void log_deferred_entry(struct recorder *r);

// Says that the trace has become big, and what makes it so: at a gigabyte, and at each tenfold size.
void log_trace_size(struct recorder *r);

#endif

// Everything the TUI knows about a recording comes through this struct of functions, so that its model and
// its screens run over a made-up recording (tests/tui/fixture.h) as well as over a timeline
// (tui/recording/timeline_source.h). Events are numbered from 1. There are two kinds of functions. Those that only read are called for what
// is on the screen, at every key: none takes longer than some microseconds, whatever the size of the recording. Those that
// re-execute it take long; they are called one at a time, in one thread (tui/job.h), while the others go on being called.
#ifndef REFORK_TUI_SOURCE_H
#define REFORK_TUI_SOURCE_H

#include "core/error.h"
#include "core/event.h"
#include "replayer/names/locals.h"
#include "replayer/names/symbols.h"
#include "replayer/verdict/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tui_event {
    uint64_t number;
    uint64_t time_us; // since the recording began
    int tid;
    uint8_t kind;   // enum event_kind
    bool fork;      // BIRTH of a process with memory of its own
    char text[200]; // one line: what happened, without number and task
};

struct tui_task {
    int tid, pid, parent_tid; // parent_tid 0: the first task
    uint64_t birth,
        death;     // birth: the event that made it (0: the first task); death 0: still there at the end
    char name[16]; // comm
    char start_routine[64]; // "" when unknown
};

struct tui_place {
    uint64_t event; // right after it
    int tid;
    size_t frame;
};
// What was asked for by name: a static variable, or "0xADDRESS" or "0xADDRESS,BYTES", memory.
#define TUI_MOST_EXAMINED 8
struct tui_examined {
    char text[64];
};
struct tui_variables_wish {
    struct tui_place at; // frame SIZE_MAX: of none
    const struct tui_examined *examined;
    size_t count;
};

#define TUI_MEMORY_ROW 8
enum tui_variable_sort { TUI_ROW_VARIABLE, TUI_ROW_HEADING, TUI_ROW_MEMORY };
struct tui_variable {
    uint8_t sort;      // enum tui_variable_sort
    int8_t examined;   // of which wish; -1: of the frame
    uint8_t length;    // MEMORY: bytes that could be read
    uint8_t marked;    // a bit per byte of memory, or 1: another value than before; the model's
    struct local what; // HEADING: its name; MEMORY: its address
    uint8_t bytes[TUI_MEMORY_ROW];
};
struct tui_variables { // from malloc, one block
    size_t count;
    struct tui_variable rows[];
};

struct tui_names { // from malloc, one block; the program's own first, sorted
    size_t count;
    struct tui_examined items[];
};

// The change of some bytes that comes next, or came before.
struct tui_change_wish {
    int pid; // in this process
    uint64_t address, size;
    uint64_t event; // behind it, or (back) up to it
    bool back;
};
struct tui_change {
    uint64_t event; // in whose slice it is, 0: there is none. The values are those of the last change in it
    uint64_t count; // of changes in that slice
    int tid;        // the task that made it
    bool by_kernel; // for a system call of that task
    uint64_t address, before, after;
    int size;        // bytes of those
    char where[160]; // "log_begin, demo.c:23", "" when unknown
};

struct tui_lock_wish {
    int pid;
    uint64_t address, event;
};

// The other ends of an event's causes and effects; 0: none known.
struct tui_links {
    uint64_t cause, effect;
};

enum tui_lock_op_sort {
    TUI_OP_ACQUIRE,
    TUI_OP_RELEASE,
    TUI_OP_WAIT,
    TUI_OP_FAILED,
    TUI_OP_MARK,
    TUI_OP_FORK,
    TUI_OP_SORTS
};

// What happened to a lock, in order. A fork: the process gets a copy of the lock.
struct tui_lock_op {
    uint64_t event; // in whose slice
    int tid, pid;
    uint8_t sort;   // enum tui_lock_op_sort
    char where[60]; // the function that did it; "" when unknown. Of a fork: who held the lock then
};
struct tui_lock_story { // from malloc, one block
    char name[80];
    size_t count, total; // shown; there were more when `total` is larger: those next to the focus are shown
    struct tui_lock_op ops[];
};

enum tui_landmark { TUI_FORK, TUI_BLOCK, TUI_LANDMARKS };

// Called from inside `stack` and `verdict` every 50 ms or so; false: stop (they fail with
// "interrupted").
typedef bool (*tui_progress)(void *argument, uint64_t done, uint64_t total);

struct tui_source {
    void *context;
    const char *title; // the recording's name, for the title bar

    // Number of the last event; known from the start.
    uint64_t (*last)(void *context);
    // Event `number`; false when it cannot be read.
    bool (*event)(void *context, uint64_t number, struct tui_event *out);

    // Does a slice (about 8 ms) of reading ahead; true while there is more to read. Tasks, ranks and
    // landmarks are complete when it has returned false.
    bool (*load)(void *context);
    // How many events `load` has seen.
    uint64_t (*loaded)(void *context);

    size_t (*task_count)(void *context);
    bool (*task)(void *context, size_t index, struct tui_task *out);
    // How many events of that task have a number <= `number`.
    uint64_t (*task_rank)(void *context, size_t index, uint64_t number);
    // The number of the task's k-th event (from 1) and its kind; 0 when there is none. Inverse of task_rank.
    uint64_t (*task_select)(void *context, size_t index, uint64_t k, uint8_t *kind);
    // The first landmark of that sort after `number` (direction 1) or the last one before it (-1); 0: none.
    uint64_t (*landmark)(void *context, enum tui_landmark what, uint64_t number, int direction);
    void (*links)(void *context, uint64_t number, struct tui_links *out);

    // Is the task there right after event `number`? 0, or -1 with what became of it.
    int (*alive)(void *context, uint64_t number, int tid, struct rf_error *err);
    // Text of a source line without newline, NULL when there is none; valid until the next call.
    const char *(*source_line)(void *context, const char *file, int line);
    // The verdict is there: names that it knows may be taken over.
    void (*judged)(void *context, const struct verdict *verdict);

    // ---- what re-executes
    // Before all the others of this kind, and behind them.
    int (*open)(void *context, struct rf_error *err);
    void (*close)(void *context);
    // The stack of `tid` right after event `number`: frames written (strings live as long as the source), or
    // -1.
    int (*stack)(void *context, uint64_t number, int tid, struct frame *out, size_t max,
                 struct rf_error *err);
    // The verdict: 0, or -1. Owned by the source. May re-execute the whole recording.
    int (*verdict)(void *context, const struct verdict **out, struct rf_error *err);
    // Arguments and variables of a frame of the stack: 0 with *out the caller's, or -1.
    int (*variables)(void *context, const struct tui_variables_wish *wish, struct tui_variables **out,
                     struct rf_error *err);
    // The names of static variables of the task's process right after event `number`. 0 with *out the caller's, or -1.
    int (*names)(void *context, uint64_t number, int tid, struct tui_names **out, struct rf_error *err);
    // 0 with *out filled, or -1.
    int (*change)(void *context, const struct tui_change_wish *wish, struct tui_change *out,
                  struct rf_error *err);
    // The history of the lock at `address` in process `pid`, also in the processes that it was copied from; of a long one what
    // is around `event`. 0 with *out the caller's, or -1. Re-executes the whole recording, once.
    int (*lock_story)(void *context, const struct tui_lock_wish *wish, struct tui_lock_story **out,
                      struct rf_error *err);
    void (*set_progress)(void *context, tui_progress progress, void *argument);
};

#endif

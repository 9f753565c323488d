// What takes long, since it re-executes the recording: one piece of it, as it is asked for and as it was answered. It runs in
// a thread of its own (tui/terminal/worker.h) while the screen goes on, or at once where there is none.
#ifndef REFORK_TUI_JOB_H
#define REFORK_TUI_JOB_H

#include "tui/source.h"

#include <stdatomic.h>

enum tui_job_kind {
    TUI_JOB_NONE,
    TUI_JOB_OPEN,
    TUI_JOB_VERDICT,
    TUI_JOB_STACK,
    TUI_JOB_LOCK,
    TUI_JOB_VARIABLES,
    TUI_JOB_NAMES,
    TUI_JOB_CHANGE
};

#define TUI_MAX_FRAMES 64

struct tui_job {
    enum tui_job_kind kind;
    // asked for
    uint64_t event;
    int tid, pid;
    uint64_t address;
    size_t frame;
    struct tui_examined examined[TUI_MOST_EXAMINED];
    size_t examined_count;
    struct tui_change_wish change_wish;
    // answered
    int result; // 0 or more, or -1 with `err`
    struct rf_error err;
    const struct verdict *verdict;
    struct frame frames[TUI_MAX_FRAMES]; // `result` of them
    struct tui_variables *variables;     // the taker's, as
    struct tui_names *names;             // the taker's
    struct tui_change change;
    struct tui_lock_story *lock; // the taker's
    // on the way
    _Atomic uint64_t done, total;
    _Atomic bool cancel;  // asks it to stop; it then fails with "interrupted"
    bool (*poll)(void *); // called now and then where it runs, NULL: not; false: stop
    void *poll_argument;
};

void tui_job_begin(struct tui_job *job, enum tui_job_kind kind);
// Carries it out: to be called in the one thread that calls the source's functions that take long.
void tui_job_run(const struct tui_source *source, struct tui_job *job);

#endif

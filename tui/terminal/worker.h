// The thread that re-executes. What it replays is traced by it and answers to no other thread, so it opens and closes the
// source too.
#ifndef REFORK_TUI_TERMINAL_WORKER_H
#define REFORK_TUI_TERMINAL_WORKER_H

#include "tui/job.h"

struct worker;

// `done` is called in the thread whenever a job is through.
struct worker *worker_new(const struct tui_source *source, void (*done)(void), struct rf_error *err);
void worker_give(struct worker *w,
                 struct tui_job *job); // the job before it must be through; it stays the caller's
bool worker_through(struct worker *w); // is the job that was given last?
// Stops the job that runs, closes the source in the thread, and waits for the thread's end.
void worker_free(struct worker *w);

#endif

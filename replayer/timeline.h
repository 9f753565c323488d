// The timeline: a replay with checkpoints behind it, positioned at any event. It knows nothing of those who use it:
// lock history, verdict, TUI.
#ifndef REFORK_REPLAYER_TIMELINE_H
#define REFORK_REPLAYER_TIMELINE_H

#include "replayer/engine/replay.h"
#include "replayer/names/symbols.h"

struct timeline;

// A part of a recording: the slices behind event `from`, that of `until` the last.
struct event_span {
    uint64_t from, until;
};

int timeline_open(const char *path, struct timeline **out, struct rf_error *err);
void timeline_close(struct timeline *t);
// From now on each breakpoint and call is a stop: slow, with the same result (--probes=off).
void timeline_without_probes(struct timeline *t);

uint64_t timeline_position(const struct timeline *t); // events executed; 0: before the first
uint64_t timeline_last(const struct timeline *t);     // number of the last event

// Moves to the state right after event `number` (0: before the first). Forward by stepping, back from the
// nearest checkpoint.
int timeline_seek(struct timeline *t, uint64_t number, struct rf_error *err);
// The same from the nearest checkpoint, which it must be after a step that failed or was given up in its middle. A
// checkpoint stays at `number`, so that going there again costs nothing.
int timeline_again(struct timeline *t, uint64_t number, struct rf_error *err);
// The last place at or before `number` that costs nothing to seek.
uint64_t timeline_checkpoint(const struct timeline *t, uint64_t number);
// Where to begin in order to see what comes before the position: `events` earlier, or later than that when it would take more
// than `us` microseconds, as far as it is known what took how long; at least one event earlier, if there is one.
uint64_t timeline_before(const struct timeline *t, uint64_t events, uint64_t us);
// From now on checkpoints take no more than so many bytes, as far as that is known when one is made; 0: no bound. Fewer of them make
// going back slower. The first one, before event 1, stays.
void timeline_bound_checkpoints(struct timeline *t, uint64_t bytes);
// How many there are, and what they take (replay_checkpoint_memory).
size_t timeline_checkpoints(const struct timeline *t, uint64_t *bytes);
// By `delta` events; stops at both ends.
int timeline_step(struct timeline *t, int64_t delta, struct rf_error *err);

struct replay *timeline_replay(struct timeline *t);
struct symbols *timeline_symbols(struct timeline *t);

// The stack of `tid` at the present position; strings live as long as the timeline.
size_t timeline_stack(struct timeline *t, int tid, struct frame *out, size_t max);

// Event `number` without executing anything (a reader of its own); pieces valid until the next call.
int timeline_event(struct timeline *t, uint64_t number, struct event *out, struct rf_error *err);

// A line of a source file: from the trace (blob "source:PATH"), else from this machine's disk; NULL.
const char *timeline_source_line(void *timeline, const char *file, int line);

// After a step that failed or was stopped in its middle: to event 0, from where it can be sought again.
int timeline_reset(struct timeline *t, struct rf_error *err);
// Calls the progress callback now and then, also from callbacks of the replay; -1: the user wants to stop.
int timeline_report(struct timeline *t, uint64_t done, uint64_t total, struct rf_error *err);

// Around foreign code (symbols) in a callback of the replay: it may execute rdtsc, which traps while the timeline
// runs.
void timeline_foreign(struct timeline *t, bool begins);

// Progress of long operations: called every 50 ms or so with (done, total); returning false cancels (status
// RF_CANNOT, "interrupted").
typedef bool (*timeline_progress)(void *context, uint64_t done, uint64_t total);
void timeline_set_progress(struct timeline *t, timeline_progress progress, void *context);

// From now on work is counted, and what goes on fails with "too much work" (RF_CANNOT) after so much of it; 0: takes that back, and
// says whether it has come to that. In microseconds of a quiet machine, but never timed: it depends on the recording alone, so a busy
// machine says what a quiet one says.
bool timeline_set_budget(struct timeline *t, uint64_t us);
// Work that a callback of the replay knows of: stops at breakpoints, accesses that were noted. Events and what the program
// computed between them are counted by the timeline itself.
void timeline_worked(struct timeline *t, uint64_t stops, uint64_t notes);

#endif

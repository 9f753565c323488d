#include "replayer/timeline.h"

#include "core/clock.h"
#include "replayer/engine/checkpoint.h"
#include "replayer/names/frames.h"
#include "replayer/source_text.h"

#include <stdlib.h>
#include <string.h>

// Checkpoints whenever `interval_us` of stepping lie behind the last one; when there are too many, every second one goes and
// the interval doubles. (Not by events: one of them is 10 us, or a slice of a second in which a thread counted.) One more
// stays near the last place that was sought backwards, since people step back again and again.
enum { MAX_CHECKPOINTS = 24, FIRST_INTERVAL_US = 40000, NEAR = 200, PROGRESS_US = 50000 };
// What a budget counts: of a stop at an event, at a breakpoint, and of a note that the program takes by itself.
enum { EVENT_NS = 10000, STOP_NS = 15000, NOTE_NS = 50 };

struct mark {
    struct replay_checkpoint *checkpoint;
    uint64_t spent_us; // that it takes to come here from the beginning
};

struct timeline {
    struct replay *replay;
    struct trace_reader *reader; // of timeline_event
    struct symbols *symbols;
    struct mark marks[MAX_CHECKPOINTS + 1];
    size_t count;
    struct mark near;
    uint64_t spent_us; // to the position
    uint64_t interval_us, last;
    uint64_t most_bytes; // of checkpoints, 0: no bound
    timeline_progress progress;
    void *progress_context;
    uint64_t progress_us;
    uint64_t budget_ns, worked_ns; // 0: none
    uint64_t event_us;             // the time in the recording of the event before
    bool late;
    bool fast; // rdtsc traps in this thread
    struct source_text *sources;
};

int timeline_open(const char *path, struct timeline **out, struct rf_error *err) {
    struct timeline *t = calloc(1, sizeof *t);
    rf_assert(t);
    t->interval_us = FIRST_INTERVAL_US;
    const struct replay_options options = {0};
    if (replay_open(path, &options, &t->replay, err) < 0 || trace_open(path, &t->reader, err) < 0 ||
        replay_save(t->replay, &t->marks[0].checkpoint, err) < 0) {
        timeline_close(t);
        return -1;
    }
    t->count = 1;
    t->symbols = symbols_new();
    t->sources = source_text_new(t->reader);
    t->last = trace_last_event(t->reader);
    *out = t;
    return 0;
}

void timeline_without_probes(struct timeline *t) {
    replay_without_probes(t->replay);
}

void timeline_close(struct timeline *t) {
    if (!t) return;
    for (size_t i = 0; i < t->count; i++)
        replay_checkpoint_free(t->marks[i].checkpoint);
    replay_checkpoint_free(t->near.checkpoint);
    if (t->symbols) symbols_free(t->symbols);
    source_text_free(t->sources);
    if (t->reader) trace_close(t->reader);
    replay_close(t->replay);
    free(t);
}

uint64_t timeline_position(const struct timeline *t) {
    return replay_position(t->replay);
}

uint64_t timeline_last(const struct timeline *t) {
    return t->last;
}

struct replay *timeline_replay(struct timeline *t) {
    return t->replay;
}

struct symbols *timeline_symbols(struct timeline *t) {
    return t->symbols;
}

void timeline_set_progress(struct timeline *t, timeline_progress progress, void *context) {
    t->progress = progress;
    t->progress_context = context;
}

bool timeline_set_budget(struct timeline *t, uint64_t us) {
    bool late = t->late;
    t->late = false;
    t->budget_ns = us * 1000;
    t->worked_ns = 0;
    return late;
}

void timeline_worked(struct timeline *t, uint64_t stops, uint64_t notes) {
    t->worked_ns += stops * STOP_NS + notes * NOTE_NS;
}

// The program computes up to a TICK or a STATE; before other events it may have slept.
static void count_events(struct timeline *t, uint64_t count) {
    const struct event *e = replay_event(t->replay);
    t->worked_ns += count * EVENT_NS;
    if (!e) return;
    bool computed = e->kind == EV_TICK || e->kind == EV_STATE;
    if (computed && e->time_us > t->event_us) t->worked_ns += (e->time_us - t->event_us) * 1000;
    t->event_us = e->time_us;
}

int timeline_report(struct timeline *t, uint64_t done, uint64_t total, struct rf_error *err) {
    if (t->budget_ns && t->worked_ns > t->budget_ns) {
        t->late = true;
        return rf_fail(err, RF_CANNOT, "too much work");
    }
    if (!t->progress) return 0;
    uint64_t now = clock_us(CLOCK_MONOTONIC);
    if (now - t->progress_us < PROGRESS_US) return 0;
    t->progress_us = now;
    clock_trap_tsc(false);
    bool go_on = t->progress(t->progress_context, done, total);
    clock_trap_tsc(t->fast);
    if (go_on) return 0;
    return rf_fail(err, RF_CANNOT, "interrupted");
}

void timeline_foreign(struct timeline *t, bool begins) {
    clock_trap_tsc(!begins && t->fast);
}

void timeline_bound_checkpoints(struct timeline *t, uint64_t bytes) {
    t->most_bytes = bytes;
}

size_t timeline_checkpoints(const struct timeline *t, uint64_t *bytes) {
    *bytes = 0;
    for (size_t i = 0; i < t->count; i++)
        *bytes += replay_checkpoint_memory(t->marks[i].checkpoint);
    return t->count;
}

// Every second one goes, the first one stays.
static void thin_out(struct timeline *t) {
    size_t kept = 0;
    t->interval_us *= 2;
    for (size_t i = 0; i < t->count; i++) {
        if (i % 2)
            replay_checkpoint_free(t->marks[i].checkpoint);
        else
            t->marks[kept++] = t->marks[i];
    }
    t->count = kept;
}

static int keep_checkpoint(struct timeline *t, struct rf_error *err) {
    const struct mark *last = &t->marks[t->count - 1];
    if (t->spent_us < last->spent_us + t->interval_us ||
        timeline_position(t) <= replay_checkpoint_position(last->checkpoint))
        return 0;
    t->marks[t->count] = (struct mark){.spent_us = t->spent_us};
    if (replay_save(t->replay, &t->marks[t->count].checkpoint, err) < 0) return -1;
    t->count++;
    uint64_t bytes = 0;
    if (t->most_bytes) timeline_checkpoints(t, &bytes);
    while (t->count > MAX_CHECKPOINTS || (t->count > 1 && bytes > t->most_bytes)) {
        thin_out(t);
        if (t->most_bytes) timeline_checkpoints(t, &bytes);
    }
    return 0;
}

static const struct mark *nearest(const struct timeline *t, uint64_t number) {
    const struct mark *best = &t->marks[0];
    for (size_t i = 0; i < t->count; i++)
        if (replay_checkpoint_position(t->marks[i].checkpoint) <= number) best = &t->marks[i];
    if (t->near.checkpoint && replay_checkpoint_position(t->near.checkpoint) <= number &&
        replay_checkpoint_position(t->near.checkpoint) > replay_checkpoint_position(best->checkpoint))
        best = &t->near;
    return best;
}

uint64_t timeline_checkpoint(const struct timeline *t, uint64_t number) {
    return replay_checkpoint_position(nearest(t, number)->checkpoint);
}

uint64_t timeline_before(const struct timeline *t, uint64_t events, uint64_t us) {
    uint64_t until = timeline_position(t), from = until > events ? until - events : 0;
    uint64_t spent =
        nearest(t, until)->spent_us; // with watchpoints, when it was passed first: longer than now
    if (spent < t->spent_us) spent = t->spent_us;
    if (spent - nearest(t, from)->spent_us <= us) return from;
    for (size_t i = 0; i < t->count; i++) {
        uint64_t at = replay_checkpoint_position(t->marks[i].checkpoint);
        if (at >= until) break;
        if (at <= from) continue;
        from = at;
        if (spent - t->marks[i].spent_us <= us) break;
    }
    return from;
}

static int go_to(struct timeline *t, const struct mark *m, struct rf_error *err) {
    t->spent_us = m->spent_us;
    return replay_restore(t->replay, m->checkpoint, err);
}

static int go_back(struct timeline *t, uint64_t number, struct rf_error *err) {
    return go_to(t, nearest(t, number), err);
}

int timeline_reset(struct timeline *t, struct rf_error *err) {
    return go_to(t, &t->marks[0], err);
}

static int stay_near(struct timeline *t, struct rf_error *err) {
    replay_checkpoint_free(t->near.checkpoint);
    t->near = (struct mark){.spent_us = t->spent_us};
    return replay_save(t->replay, &t->near.checkpoint, err);
}

static int seek(struct timeline *t, uint64_t number, struct rf_error *err) {
    if (number > t->last) number = t->last;
    uint64_t start = timeline_position(t), near_at = 0;
    if (number < start) {
        if (go_back(t, number, err) < 0) return -1;
        if (number > timeline_position(t) + NEAR) near_at = number - NEAR;
    }
    start = timeline_position(t);
    uint64_t then = clock_us(CLOCK_MONOTONIC), counted = start;
    while (timeline_position(t) < number) {
        int got = replay_run(t->replay, near_at > timeline_position(t) ? near_at : number, err);
        if (got < 0) return -1;
        if (!got) break;
        uint64_t now = clock_us(CLOCK_MONOTONIC);
        t->spent_us += now - then;
        count_events(t, timeline_position(t) - counted);
        counted = timeline_position(t);
        if (keep_checkpoint(t, err) < 0) return -1;
        if (near_at && timeline_position(t) == near_at && stay_near(t, err) < 0) return -1;
        if (timeline_report(t, timeline_position(t) - start, number - start, err) < 0) return -1;
        then = now;
    }
    return 0;
}

int timeline_seek(struct timeline *t, uint64_t number, struct rf_error *err) {
    // As in the recorder: stops are three times as cheap when this thread traps rdtsc like the tasks that it
    // drives.
    clock_trap_tsc(t->fast = true);
    int result = seek(t, number, err);
    clock_trap_tsc(t->fast = false);
    return result;
}

int timeline_again(struct timeline *t, uint64_t number, struct rf_error *err) {
    if (number > t->last) number = t->last;
    bool there = t->near.checkpoint && replay_checkpoint_position(t->near.checkpoint) == number;
    if (go_back(t, number, err) < 0 || timeline_seek(t, number, err) < 0) return -1;
    return there || timeline_checkpoint(t, number) == number ? 0 : stay_near(t, err);
}

int timeline_step(struct timeline *t, int64_t delta, struct rf_error *err) {
    uint64_t at = timeline_position(t);
    if (delta < 0 && (uint64_t)-delta > at) return timeline_seek(t, 0, err);
    return timeline_seek(t, at + (uint64_t)delta, err);
}

size_t timeline_stack(struct timeline *t, int tid, struct frame *out, size_t max) {
    struct view view;
    struct user_regs_struct regs;
    struct rf_error err;
    if (replay_task_regs(t->replay, tid, &regs, &err) < 0 || replay_view(t->replay, tid, &view, &err) < 0)
        return 0;
    return frames_at(t->symbols, &view, &regs, out, max);
}

int timeline_event(struct timeline *t, uint64_t number, struct event *out, struct rf_error *err) {
    if (!number || number > t->last)
        return rf_fail(err, RF_CANNOT, "there is no event %llu", (unsigned long long)number);
    if (trace_seek(t->reader, number, err) < 0) return -1;
    return trace_next(t->reader, out, err) == 1 ? 0 : -1;
}

const char *timeline_source_line(void *timeline, const char *file, int line) {
    struct timeline *t = timeline;
    return source_text_line(t->sources, file, line);
}

#include "tui/recording/rr_source.h"

#include "core/array.h"
#include "replayer/rr/place.h"
#include "replayer/rr/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    struct tui_task task;
    const struct rr_frame **frames; // in order
    size_t count;
};

struct rr_source {
    struct tui_source source;
    const struct rr_trace *trace;
    char title[4096];
    struct lane *lanes;
    size_t lane_count;
    struct diagnosis *diagnosis; // the verdict's; NULL: not made yet
    struct diagnosis *names;     // of the stacks
};

static const struct rr_frame *frame_at(const struct rr_source *s, uint64_t number) {
    const struct rr_trace *t = s->trace;
    size_t i = array_before(t->frames, t->frame_count, frame, frame->event < number);
    return i < t->frame_count && t->frames[i].event == number ? &t->frames[i] : NULL;
}

// A TID may be used again: the last task of that number that was made before the event.
static struct lane *lane_of(const struct rr_source *s, int tid, uint64_t number) {
    for (size_t i = s->lane_count; i-- > 0;)
        if (s->lanes[i].task.tid == tid && s->lanes[i].task.birth <= number) return &s->lanes[i];
    return NULL;
}

static const struct rr_task *birth_at(const struct rr_source *s, uint64_t number) {
    for (size_t i = 1; i < s->trace->count; i++)
        if (s->trace->tasks[i].born == number) return &s->trace->tasks[i];
    return NULL;
}

// ---- what only reads

static uint64_t rr_last(void *context) {
    return ((struct rr_source *)context)->trace->last;
}

static bool rr_load(void *context) {
    (void)context;
    return false;
}

static size_t rr_task_count(void *context) {
    return ((struct rr_source *)context)->lane_count;
}

static bool rr_task(void *context, size_t index, struct tui_task *out) {
    const struct rr_source *s = context;
    if (index >= s->lane_count) return false;
    *out = s->lanes[index].task;
    return true;
}

static uint64_t rr_rank(void *context, size_t index, uint64_t number) {
    const struct lane *l = &((struct rr_source *)context)->lanes[index];
    return array_before(l->frames, l->count, frame, (*frame)->event <= number);
}

static uint64_t rr_select(void *context, size_t index, uint64_t k, uint8_t *kind) {
    const struct lane *l = &((struct rr_source *)context)->lanes[index];
    if (!k || k > l->count) return 0;
    if (kind) *kind = l->frames[k - 1]->kind;
    return l->frames[k - 1]->event;
}

static bool rr_event(void *context, uint64_t number, struct tui_event *out) {
    const struct rr_source *s = context;
    const struct rr_frame *f = frame_at(s, number);
    if (!number || number > s->trace->last) return false;
    *out = (struct tui_event){.number = number, .kind = EV_NOTE};
    if (!f) return true; // rr's dump leaves out what is no task's
    out->time_us = f->time_us - s->trace->frames[0].time_us;
    out->tid = f->tid;
    out->kind = f->kind;
    const struct rr_task *born = birth_at(s, number);
    out->fork = born && born->pid == born->tid && !born->shares_memory;
    if (born)
        snprintf(out->text, sizeof out->text, "%s: makes %s %d", f->text,
                 born->pid == born->tid ? "process" : "thread", born->tid);
    else
        snprintf(out->text, sizeof out->text, "%s", f->text);
    return true;
}

static uint64_t rr_landmark(void *context, enum tui_landmark what, uint64_t number, int direction) {
    const struct rr_source *s = context;
    uint64_t best = 0;
    for (size_t i = 1; what == TUI_FORK && i < s->trace->count; i++) {
        const struct rr_task *task = &s->trace->tasks[i];
        if (task->pid != task->tid || task->shares_memory) continue;
        if (direction > 0 && task->born > number && (!best || task->born < best)) best = task->born;
        if (direction < 0 && task->born < number && task->born > best) best = task->born;
    }
    return best;
}

static void rr_links(void *context, uint64_t number, struct tui_links *out) {
    const struct rr_source *s = context;
    const struct rr_task *born = birth_at(s, number);
    const struct lane *l = born ? lane_of(s, born->tid, number) : NULL;
    *out = (struct tui_links){.effect = l && l->count ? l->frames[0]->event : 0};
}

static int rr_alive(void *context, uint64_t number, int tid, struct rf_error *err) {
    const struct lane *l = lane_of(context, tid, number);
    if (!l) return rf_fail(err, RF_CANNOT, "task %d does not exist yet", tid);
    if (l->task.death && l->task.death <= number)
        return rf_fail(err, RF_CANNOT, "task %d is gone: it ended at event %llu", tid,
                       (unsigned long long)l->task.death);
    return 0;
}

static const char *rr_source_line(void *context, const char *file, int line) {
    return diagnosis_source_line(((struct rr_source *)context)->names, file, line);
}

static void rr_judged(void *context, const struct verdict *verdict) {
    struct rr_source *s = context;
    for (size_t i = 0; i < verdict->count; i++) {
        const struct finding_task *tasks[] = {&verdict->findings[i].holder, &verdict->findings[i].waiter};
        for (size_t k = 0; k < 2; k++) {
            struct lane *l = lane_of(s, tasks[k]->tid, s->trace->last);
            if (!l) continue;
            snprintf(l->task.start_routine, sizeof l->task.start_routine, "%.63s", tasks[k]->start_routine);
            snprintf(l->task.name, sizeof l->task.name, "%.15s", tasks[k]->name);
        }
    }
}

// ---- what replays

static int rr_open(void *context, struct rf_error *err) {
    (void)context, (void)err;
    return 0;
}

static void rr_close(void *context) {
    (void)context;
}

static int rr_stack_of(void *context, uint64_t number, int tid, struct frame *out, size_t max,
                       struct rf_error *err) {
    struct rr_source *s = context;
    return rr_place_stack(s->trace, s->names, number, tid, out, max, err);
}

static int rr_verdict_of(void *context, const struct verdict **out, struct rf_error *err) {
    struct rr_source *s = context;
    if (!s->diagnosis && rr_verdict(s->trace, &s->diagnosis, err)) return -1;
    *out = diagnosis_verdict(s->diagnosis);
    return 0;
}

static int rr_variables(void *context, const struct tui_variables_wish *wish, struct tui_variables **out,
                        struct rf_error *err) {
    (void)context, (void)wish, (void)out;
    return rf_fail(err, RF_CANNOT, "of a trace of rr the variables are told by gdb: 'refork gdb'");
}

static int rr_names(void *context, uint64_t number, int tid, struct tui_names **out, struct rf_error *err) {
    (void)context, (void)number, (void)tid, (void)out;
    return rf_fail(err, RF_CANNOT, "of a trace of rr the variables are told by gdb: 'refork gdb'");
}

static int rr_change(void *context, const struct tui_change_wish *wish, struct tui_change *out,
                     struct rf_error *err) {
    (void)context, (void)wish, (void)out;
    return rf_fail(err, RF_CANNOT,
                   "of a trace of rr gdb finds changes: 'refork gdb', watch, reverse-continue");
}

static int rr_lock_story(void *context, const struct tui_lock_wish *wish, struct tui_lock_story **out,
                         struct rf_error *err) {
    (void)context, (void)wish, (void)out;
    return rf_fail(err, RF_CANNOT, "a trace of rr has no history of locks");
}

static void rr_set_progress(void *context, tui_progress progress, void *argument) {
    (void)context, (void)progress, (void)argument;
}

// ---- making it

static void make_lanes(struct rr_source *s) {
    const struct rr_trace *t = s->trace;
    for (size_t i = 0; i < t->count; i++) {
        struct lane *l = array_add(s->lanes, s->lane_count);
        const struct rr_task *task = &t->tasks[i];
        l->task = (struct tui_task){.tid = task->tid,
                                    .pid = task->pid,
                                    .parent_tid = task->parent,
                                    .birth = task->parent ? task->born : 0,
                                    .death = task->died};
    }
    for (size_t i = 0; i < t->frame_count; i++) {
        struct lane *l = lane_of(s, t->frames[i].tid, t->frames[i].event);
        if (l) array_push(l->frames, l->count, &t->frames[i]);
    }
}

struct rr_source *rr_source_new(const struct rr_trace *t, const char *path) {
    struct rr_source *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->trace = t;
    s->names = diagnosis_new();
    snprintf(s->title, sizeof s->title, "%s", path);
    make_lanes(s);
    s->source = (struct tui_source){
        .context = s,
        .title = s->title,
        .last = rr_last,
        .event = rr_event,
        .load = rr_load,
        .loaded = rr_last,
        .task_count = rr_task_count,
        .task = rr_task,
        .task_rank = rr_rank,
        .task_select = rr_select,
        .landmark = rr_landmark,
        .links = rr_links,
        .alive = rr_alive,
        .source_line = rr_source_line,
        .judged = rr_judged,
        .open = rr_open,
        .close = rr_close,
        .stack = rr_stack_of,
        .verdict = rr_verdict_of,
        .variables = rr_variables,
        .names = rr_names,
        .change = rr_change,
        .lock_story = rr_lock_story,
        .set_progress = rr_set_progress,
    };
    return s;
}

const struct tui_source *rr_source_get(const struct rr_source *s) {
    return &s->source;
}

void rr_source_free(struct rr_source *s) {
    if (!s) return;
    for (size_t i = 0; i < s->lane_count; i++)
        free(s->lanes[i].frames);
    free(s->lanes);
    diagnosis_free(s->diagnosis);
    diagnosis_free(s->names);
    free(s);
}

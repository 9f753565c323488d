#include "search/segments.h"

#include "core/annex.h"
#include "core/array.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

struct counted_task {
    int tid, pid;
    size_t space;        // index
    uint64_t own;        // steps
    uint64_t exec_calls; // library calls up to an execve, which the recorder has not counted when it works
};

struct counting {
    struct timeline *t;
    struct counted_task *tasks; // by number, from 0
    size_t task_count;
    uint64_t *spaces; // PLT clocks of address spaces, as last read
    size_t space_count;
    struct segment *segments;
    size_t segment_count;
    struct segment_questions questions;
};

// The PLT clock of that task's address space; false: it is gone.
static bool read_clock(struct counting *c, int tid, uint64_t *count) {
    struct view v;
    struct rf_error err;
    *count = 0;
    if (replay_view(timeline_replay(c->t), tid, &v, &err) < 0) return false;
    if (!v.read(v.context, ANNEX_COUNT, count, sizeof *count)) *count = 0; // before the annex is mapped
    return true;
}

static size_t new_space(struct counting *c, int tid) {
    uint64_t count;
    read_clock(c, tid, &count);
    array_push(c->spaces, c->space_count, count);
    return c->space_count - 1;
}

static struct counted_task *new_task(struct counting *c, int tid, int pid, size_t space) {
    struct counted_task *task = array_add(c->tasks, c->task_count);
    *task = (struct counted_task){.tid = tid, .pid = pid, .space = space};
    return task;
}

// The last one: the kernel may give a number again.
static struct counted_task *find_task(struct counting *c, int tid) {
    for (size_t i = c->task_count; i-- > 0;)
        if (c->tasks[i].tid == tid) return &c->tasks[i];
    return NULL;
}

// Events that do not say that their task has run.
static bool is_aside(const struct event *e) {
    return !e->tid || e->kind == EV_NOTE || e->kind == EV_STUCK || e->kind == EV_PATCH || e->kind == EV_END ||
           e->kind == EV_DEATH;
}

static void count_event(struct counting *c, struct counted_task *task, const struct event *e) {
    uint64_t clock, before = c->spaces[task->space];
    task->own += event_own_steps(e->kind);
    if (e->kind == EV_EXEC) {
        task->own -= task->exec_calls;
        task->exec_calls = 0;
        task->space = new_space(c, e->tid);
        return;
    }
    if (!read_clock(c, e->tid, &clock) || clock < before) return;
    task->own += clock - before;
    bool execs = e->kind == EV_ENTER && (e->nr == SYS_execve || e->nr == SYS_execveat);
    task->exec_calls = execs ? clock - before : 0;
    c->spaces[task->space] = clock;
}

// Where the breakpoint is that the last segment ended at, as another run has it.
static void name_end(struct counting *c) {
    struct segment *last = c->segment_count ? &c->segments[c->segment_count - 1] : NULL;
    struct view v;
    struct rf_error err;
    struct frame f = {0};
    if (!last || !last->code || last->module || replay_view(timeline_replay(c->t), last->tid, &v, &err) < 0)
        return;
    symbols_pc(timeline_symbols(c->t), &v, last->code, &f);
    if (!f.module) return;
    last->module = strdup(f.module);
    last->offset = f.module_offset;
}

static void add_to_segments(struct counting *c, const struct counted_task *task, const struct event *e,
                            uint64_t before) {
    struct segment *last = c->segment_count ? &c->segments[c->segment_count - 1] : NULL;
    uint32_t number = (uint32_t)(task - c->tasks) + 1;
    if (!last || last->task != number) {
        name_end(c);
        last = array_add(c->segments, c->segment_count);
        *last = (struct segment){.task = number, .tid = e->tid, .from = before};
    }
    last->until = task->own;
    last->event = e->number;
    last->forced = e->kind == EV_ENTER;
    last->end = SEGMENT_ENDS_AT;
    last->code = 0;
    if (e->kind == EV_BREAK) last->code = (uint64_t)e->ret;
    if (e->kind == EV_BREAK && e->nr == BREAK_BEFORE) last->end = SEGMENT_ENDS_BEFORE;
    if (e->kind == EV_STATE || (e->kind == EV_BREAK && e->nr == BREAK_BEHIND))
        last->end = SEGMENT_ENDS_BEHIND;
}

static void answer(struct counting *c, const struct counted_task *task, uint64_t event) {
    const uint32_t number = (uint32_t)(task - c->tasks) + 1;
    for (size_t i = 0; i < c->questions.point_count; i++) {
        struct segment_point *p = &c->questions.points[i];
        bool found = p->event && p->own == p->step;
        if (p->task != number || task->own > p->step || found) continue;
        p->own = task->own;
        p->tid = task->tid;
        p->pid = task->pid;
        p->event = event;
    }
    for (size_t i = 0; i < c->questions.moment_count; i++) {
        struct segment_moment *m = &c->questions.moments[i];
        if (m->task || m->tid != task->tid || event < m->event) continue;
        m->task = number;
        m->step = task->own;
        m->segment = c->segment_count - 1;
    }
}

static void take_event(struct counting *c, const struct event *e) {
    struct counted_task *task = find_task(c, e->tid);
    struct segment *last = c->segment_count ? &c->segments[c->segment_count - 1] : NULL;
    if (e->kind == EV_DEATH && last && last->tid == e->tid) last->until++; // until it is gone
    if (is_aside(e)) return;
    if (!task) task = new_task(c, e->tid, e->tid, new_space(c, e->tid)); // the program's first event
    uint64_t before = task->own;
    count_event(c, task, e);
    add_to_segments(c, task, e, before);
    answer(c, task, e->number);
    if (e->kind != EV_BIRTH) return;
    size_t space = e->flags & EVF_VM ? task->space : new_space(c, (int)e->ret);
    new_task(c, (int)e->ret, (int)e->aux, space);
}

int segments_read(struct timeline *t, struct segment **out, size_t *count,
                  const struct segment_questions *questions, struct rf_error *err) {
    struct counting c = {.t = t};
    if (questions) c.questions = *questions;
    int failed = timeline_seek(t, 0, err);
    for (uint64_t n = 1; !failed && n <= timeline_last(t); n++) {
        failed = timeline_seek(t, n, err);
        if (!failed) take_event(&c, replay_event(timeline_replay(t)));
        if (!failed) failed = timeline_report(t, n, timeline_last(t), err);
    }
    if (!failed) name_end(&c);
    free(c.tasks);
    free(c.spaces);
    if (failed) {
        segments_free(c.segments, c.segment_count);
        return -1;
    }
    *out = c.segments;
    *count = c.segment_count;
    return 0;
}

void segments_free(struct segment *segments, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(segments[i].module);
    free(segments);
}

size_t segments_unforced(const struct segment *segments, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i + 1 < count; i++)
        n += !segments[i].forced;
    return n;
}

#include "cli/begin.h"

#include "core/array.h"
#include "core/event.h"
#include "core/trace/trace_read.h"

#include <inttypes.h>
#include <stdlib.h>

struct lived {
    int tid, pid;
    uint64_t birth, death; // events; 0: to the end
};

struct lives {
    struct lived *tasks;
    size_t count;
    uint64_t stuck_event, last; // stuck_event 0: nobody is
    int stuck_tid;
};

static void begin_note(struct lives *b, const struct event *e) {
    if (e->kind == EV_EXEC || e->kind == EV_BIRTH) {
        int tid = e->kind == EV_BIRTH ? (int)e->ret : e->tid,
            pid = e->kind == EV_BIRTH ? (int)e->aux : e->tid;
        for (size_t i = 0; i < b->count; i++)
            if (b->tasks[i].tid == tid && !b->tasks[i].death) return; // an exec of one that lives
        array_push(b->tasks, b->count, (struct lived){tid, pid, e->number, 0});
    } else if (e->kind == EV_DEATH) {
        for (size_t i = 0; i < b->count; i++)
            if (b->tasks[i].tid == e->tid && !b->tasks[i].death) b->tasks[i].death = e->number;
    } else if (e->kind == EV_STUCK && (!b->stuck_event || e->aux == 1)) {
        b->stuck_event = e->number;
        b->stuck_tid = e->tid;
    }
    b->last = e->number;
}

static int begin_read(const char *path, struct lives *b, struct rf_error *err) {
    struct trace_reader *r;
    struct event e;
    int got;
    if (trace_open(path, &r, err) < 0) return -1;
    while ((got = trace_next(r, &e, err)) == 1)
        begin_note(b, &e);
    trace_close(r);
    if (got < 0) return -1;
    return b->count ? 0
                    : rf_fail(err, RF_BAD_TRACE, "'%s' holds no program: nothing was recorded in it", path);
}

static const struct lived *lived(const struct lives *b, int tid) {
    for (size_t i = b->count; i-- > 0;)
        if (b->tasks[i].tid == tid) return &b->tasks[i];
    return NULL;
}

static bool lives_at(const struct lived *t, uint64_t event) {
    return t->birth <= event && (!t->death || event < t->death);
}

// The stuck task where it is stuck; else the first process at the last event that it lives to see.
static int choose_begin(const struct lives *b, struct begin *o, struct rf_error *err) {
    bool at_end = !o->event;
    if (!o->pid && !o->tid && at_end && b->stuck_event) {
        const struct lived *t = lived(b, b->stuck_tid);
        *o = (struct begin){b->stuck_event, t ? t->pid : b->stuck_tid, b->stuck_tid};
        return 0;
    }
    if (o->event > b->last)
        return rf_fail(err, RF_CANNOT, "no event %" PRIu64 ": the last one is %" PRIu64, o->event, b->last);
    for (size_t i = 0; i < b->count; i++) {
        const struct lived *t = &b->tasks[i];
        if ((o->pid && t->pid != o->pid) || (o->tid && t->tid != o->tid)) continue;
        if (!o->pid && !o->tid && (i || !at_end) && !lives_at(t, o->event)) continue;
        uint64_t event = at_end ? (t->death ? t->death - 1 : b->last) : o->event;
        if (!lives_at(t, event)) continue;
        *o = (struct begin){event, t->pid, t->tid};
        return 0;
    }
    if (o->tid)
        return rf_fail(
            err, RF_CANNOT,
            "task %d does not live there: 'refork info' lists processes, 'refork dump' what they do", o->tid);
    if (o->pid && !at_end)
        return rf_fail(err, RF_CANNOT,
                       "process %d does not live at event %" PRIu64 ": 'refork info' lists the processes",
                       o->pid, o->event);
    if (o->pid)
        return rf_fail(err, RF_CANNOT, "no process %d in this recording: 'refork info' lists them", o->pid);
    return rf_fail(err, RF_CANNOT, "no process lives at event %" PRIu64, o->event);
}

int begin_choose(const char *path, struct begin *b, struct rf_error *err) {
    struct lives lives = {0};
    int failed = begin_read(path, &lives, err) || choose_begin(&lives, b, err);
    free(lives.tasks);
    return failed ? -1 : 0;
}

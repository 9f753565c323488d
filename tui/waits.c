#include "tui/waits.h"

#include "core/calls/syscalls.h"
#include "tui/focus.h"
#include "tui/story.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A task that waits, and what for.
struct edge {
    const struct finding *finding;
    size_t index; // of the finding
    const struct finding_task *waiter, *holder;
    const struct finding_lock *lock;
    uint64_t since, taken;
    bool first;   // the finding's own edge, with all that it knows
    bool visited; // it has its row
    bool awaited; // by another one
};

struct graph {
    struct tui_model *m;
    struct edge *edges;
    size_t count;
};

static struct tui_wait_row *add(struct graph *g, enum tui_wait_sort sort, int depth, const struct edge *e) {
    struct tui_model *m = g->m;
    struct tui_wait_row *rows = reallocarray(m->waits, m->wait_count + 1, sizeof *rows);
    rf_assert(rows);
    m->waits = rows;
    struct tui_wait_row *row = &rows[m->wait_count++];
    *row = (struct tui_wait_row){.sort = sort, .depth = depth, .finding = e ? e->index : 0};
    return row;
}

static void __attribute__((format(printf, 4, 5)))
say(struct tui_wait_row *row, uint64_t event, int tid, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(row->text, sizeof row->text, format, list);
    va_end(list);
    row->event = event;
    row->tid = tid;
}

static void label(const struct graph *g, const struct finding_task *task, char *out, size_t size) {
    if (*task->start_routine)
        snprintf(out, size, "%s (%d)", task->start_routine, task->tid);
    else
        tui_task_label(g->m, task->tid, out, size);
}

// ---- edges
static void add_edge(struct graph *g, struct edge e) {
    if (!e.waiter->tid) return;
    for (size_t i = 0; i < g->count; i++) // a finding's own edge is often among its edges, too
        if (g->edges[i].waiter->tid == e.waiter->tid && g->edges[i].lock->address == e.lock->address) return;
    g->edges = reallocarray(g->edges, g->count + 1, sizeof *g->edges);
    rf_assert(g->edges);
    g->edges[g->count++] = e;
}

static void collect(struct graph *g, const struct verdict *v) {
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        if (f->kind == FINDING_TORN_DATA) continue; // it crashed
        add_edge(g, (struct edge){f, i, &f->waiter, &f->holder, &f->lock, f->waiting.event, f->acquired.event,
                                  .first = true});
        for (size_t k = 0; k < f->edge_count; k++) {
            const struct finding_edge *e = &f->edges[k];
            add_edge(g, (struct edge){f, i, &e->waiter, &e->holder, &e->lock, e->waiting.event,
                                      e->acquired.event, false, false, false});
        }
    }
}

static struct edge *edge_of(struct graph *g, int tid) {
    for (size_t i = 0; tid && i < g->count; i++)
        if (g->edges[i].waiter->tid == tid) return &g->edges[i];
    return NULL;
}

// What the edge leads to, when that waits itself. A holder that is not in the waiter's process waits for nothing there.
static struct edge *next_of(struct graph *g, const struct edge *e) {
    const struct finding *f = e->finding;
    if (e->first && f->caused_by) return edge_of(g, f->caused_by->waiter.tid);
    if (!e->holder->tid || e->holder->vanished || (e->first && f->holder_is_forker)) return NULL;
    return edge_of(g, e->holder->tid);
}

// ---- rows
static void add_holder(struct graph *g, const struct edge *e, int depth) {
    const struct finding *f = e->finding;
    char who[192], fork[64] = "";
    label(g, e->holder, who, sizeof who);
    unsigned long long taken = e->taken;
    if (e->first && f->fork.event) snprintf(fork, sizeof fork, " at %llu", (unsigned long long)f->fork.event);
    if (e->holder->tid == e->waiter->tid) {
        say(add(g, TUI_WAIT_CLOSED, depth, e), taken, e->holder->tid, "%s holds it itself", who);
    } else if (e->first && f->holder_is_forker) {
        say(add(g, TUI_WAIT_GHOST, depth, e), taken, e->holder->tid,
            "%s held it when it forked%s: in %d nobody frees it", who, fork, e->waiter->pid);
    } else if (e->holder->vanished) {
        say(add(g, TUI_WAIT_GHOST, depth, e), taken, e->holder->tid,
            "%s took it in %d at %llu and was not copied by the fork%s: in %d nobody frees it", who,
            e->holder->pid, taken, fork, e->waiter->pid);
    } else if (e->first && f->end.event) {
        say(add(g, TUI_WAIT_GHOST, depth, e), f->end.event, e->holder->tid,
            "%s took it at %llu and has ended at %llu", who, taken, (unsigned long long)f->end.event);
    } else {
        say(add(g, TUI_WAIT_HOLDER, depth, e), taken, e->holder->tid, "%s holds it since %llu", who, taken);
    }
}

static void add_wakers(struct graph *g, const struct edge *e, int depth) {
    const struct finding *f = e->finding;
    for (size_t i = 0; e->first && i < f->waker_count; i++) {
        char who[192];
        const struct finding_party *p = &f->wakers[i];
        label(g, &p->task, who, sizeof who);
        say(add(g, p->task.vanished ? TUI_WAIT_GHOST : TUI_WAIT_HOLDER, depth, e), p->point.event,
            p->task.tid, "%s: %s", who, p->what);
    }
    if (!e->first || !f->waker_count)
        say(add(g, TUI_WAIT_OTHER, depth, e), 0, 0, "it is not known who could end that");
}

// The waiter's row, and below it what it waits for. `before`: "holds it since 10, and ", of one that is waited for.
static void follow(struct graph *g, struct edge *e, int depth, const char *before) {
    char who[192], name[64], what[400];
    const struct finding *f = e->finding;
    bool process = e->first && f->caused_by;
    e->visited = true;
    label(g, e->waiter, who, sizeof who);
    if (process)
        snprintf(what, sizeof what, "process %d", f->caused_by->waiter.pid);
    else
        snprintf(what, sizeof what, "%s",
                 e->lock->address || *e->lock->symbol ? tui_lock_name(e->lock, name, sizeof name)
                                                      : "something");
    say(add(g, TUI_WAIT_WAITER, depth, e), e->since, e->waiter->tid, "%s %swaits for %s since %llu", who,
        before, what, (unsigned long long)e->since);
    struct edge *next = next_of(g, e);
    char held[96] = "";
    if (next && !process && e->taken)
        snprintf(held, sizeof held, "holds it since %llu and ", (unsigned long long)e->taken);
    else if (next && !process)
        snprintf(held, sizeof held, "holds it and ");
    if (next && !next->visited) {
        follow(g, next, depth + 1, held);
    } else if (next && next != e) {
        label(g, next->waiter, who, sizeof who);
        say(add(g, TUI_WAIT_CLOSED, depth + 1, e), e->taken ? e->taken : next->since, next->waiter->tid,
            "%s %s, and waits above: the circle is closed", who, process ? "is in it" : "holds it");
    } else if (e->holder->tid) {
        add_holder(g, e, depth + 1);
        for (size_t i = 0; e->first && i < f->holder_count; i++) {
            label(g, &f->holders[i].task, who, sizeof who);
            say(add(g, f->holders[i].task.vanished ? TUI_WAIT_GHOST : TUI_WAIT_HOLDER, depth + 1, e),
                f->holders[i].point.event, f->holders[i].task.tid, "%s: %s", who, f->holders[i].what);
        }
    } else if (!process) {
        add_wakers(g, e, depth + 1);
    }
}

// Those that are in no finding: they wait, and nothing says that it is for ever.
static void add_others(struct graph *g, const struct verdict *v) {
    for (size_t i = 0; i < v->waiting_count; i++) {
        char who[96];
        const struct waiting_task *w = &v->waiting[i];
        tui_task_label(g->m, w->tid, who, sizeof who);
        say(add(g, TUI_WAIT_OTHER, 0, NULL), w->since, w->tid, "%s is in %s since %llu", who,
            syscall_name(w->nr), (unsigned long long)w->since);
    }
}

void tui_waits_build(struct tui_model *m) {
    tui_waits_release(m);
    if (!m->verdict) return;
    struct graph g = {.m = m};
    collect(&g, m->verdict);
    for (size_t i = 0; i < g.count; i++) {
        struct edge *next = next_of(&g, &g.edges[i]);
        if (next && next != &g.edges[i]) next->awaited = true;
    }
    for (int pass = 0; pass < 2; pass++) // first those that nobody waits for, then circles
        for (size_t i = 0; i < g.count; i++)
            if (!g.edges[i].visited && (pass || !g.edges[i].awaited)) follow(&g, &g.edges[i], 0, "");
    add_others(&g, m->verdict);
    free(g.edges);
}

void tui_waits_release(struct tui_model *m) {
    free(m->waits);
    m->waits = NULL;
    m->wait_count = m->wait_line = m->waits_top = 0;
}

void tui_waits_enter(struct tui_model *m) {
    if (m->wait_line >= m->wait_count) return;
    const struct tui_wait_row *row = &m->waits[m->wait_line];
    if (row->event)
        tui_model_jump(m, row->event, row->tid);
    else
        tui_model_message(m, false, "this line is not about one event");
}

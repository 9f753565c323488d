#include "tui/lane_rows.h"

#include "tui/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// So many lanes of all findings stand in front together; when there are more, those of the finding in question alone.
enum { MOST_IN_FRONT = 12 };

// What decides about a lane's place.
struct place {
    struct tui_lane lane;
    bool behind;      // not in front
    size_t process;   // index of the process's first task
    int64_t key;      // of the process; smaller is earlier
    const char *name; // of the process
};

// ---- the tasks of a finding

static bool is_party(const struct finding *f, int tid) {
    if (tid == f->waiter.tid || tid == f->holder.tid || (f->fork.event && tid == f->fork.tid)) return true;
    for (size_t i = 0; i < f->edge_count; i++)
        if (tid == f->edges[i].holder.tid || tid == f->edges[i].waiter.tid) return true;
    for (size_t i = 0; i < f->waker_count; i++)
        if (tid == f->wakers[i].task.tid) return true;
    for (size_t i = 0; i < f->holder_count; i++)
        if (tid == f->holders[i].task.tid) return true;
    return f->killed.end.event && tid == f->killed.end.by.tid;
}

// Of one finding, or of any (`finding` is the number of findings).
static bool is_of(const struct tui_model *m, int tid, size_t finding) {
    for (size_t i = 0; tid && i < m->verdict->count; i++)
        if ((finding == m->verdict->count || finding == i) && is_party(&m->verdict->findings[i], tid))
            return true;
    return false;
}

bool tui_lane_passes(const struct tui_model *m, size_t task) {
    const struct tui_task *t = &m->tasks[task];
    char text[160];
    snprintf(text, sizeof text, "%d %d %s %s", t->tid, t->pid, t->name, t->start_routine);
    return tui_passes(text, m->lane_filter);
}

// Does the task belong in front? A process is there with its main thread as soon as one of its threads is.
static bool is_front(const struct tui_model *m, const struct tui_lane *lane, size_t finding,
                     const bool *processes, size_t process) {
    const struct tui_task *t = &m->tasks[lane->task];
    if (*m->lane_filter) return tui_lane_passes(m, process) || tui_lane_passes(m, lane->task);
    if (!m->verdict || !m->verdict->count)
        return !t->death || !process; // who lives at the end, the first process
    if (lane->ghost) return processes[process];
    return is_of(m, t->tid, finding) || (t->tid == t->pid && processes[process]);
}

static size_t mark_front(const struct tui_model *m, struct place *places, size_t finding) {
    bool *processes = calloc(m->task_count + 1, sizeof *processes);
    rf_assert(processes);
    bool judged = m->verdict && m->verdict->count;
    for (size_t i = 0; judged && i < m->lane_count; i++)
        if (!places[i].lane.ghost && is_of(m, places[i].lane.tid, finding))
            processes[places[i].process] = true;
    size_t front = 0;
    for (size_t i = 0; i < m->lane_count; i++) {
        places[i].behind = !is_front(m, &places[i].lane, finding, processes, places[i].process);
        front += !places[i].behind;
    }
    free(processes);
    return front;
}

// ---- order

static int by_pid(const void *a, const void *b, void *context) {
    const struct tui_task *tasks = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (tasks[x].pid != tasks[y].pid) return tasks[x].pid < tasks[y].pid ? -1 : 1;
    return x < y ? -1 : x > y;
}

// The first task of each process: first[task].
static size_t *processes_of(const struct tui_model *m) {
    size_t *order = calloc(m->task_count + 1, sizeof *order),
           *first = calloc(m->task_count + 1, sizeof *first);
    rf_assert(order && first);
    for (size_t i = 0; i < m->task_count; i++)
        order[i] = i;
    qsort_r(order, m->task_count, sizeof *order, by_pid, m->tasks);
    for (size_t i = 0; i < m->task_count; i++) {
        bool same = i && m->tasks[order[i - 1]].pid == m->tasks[order[i]].pid;
        first[order[i]] = same ? first[order[i - 1]] : order[i];
    }
    free(order);
    return first;
}

static int by_place(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->behind != y->behind) return x->behind ? 1 : -1;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    int name = x->name && y->name ? strcmp(x->name, y->name) : 0;
    if (name) return name;
    if (x->process != y->process) return x->process < y->process ? -1 : 1;
    if (x->lane.pid != y->lane.pid) return x->lane.pid < y->lane.pid ? -1 : 1;
    if (x->lane.ghost != y->lane.ghost) return x->lane.ghost ? 1 : -1;
    return x->lane.task < y->lane.task ? -1 : x->lane.task > y->lane.task;
}

static int64_t sort_key(const struct tui_model *m, enum tui_lane_sort sort, size_t task) {
    const struct tui_source *s = m->source;
    if (sort == TUI_SORT_EVENTS) return -(int64_t)s->task_rank(s->context, task, s->last(s->context));
    if (sort == TUI_SORT_END) return m->tasks[task].death ? -(int64_t)m->tasks[task].death : INT64_MIN;
    return 0;
}

// Each process's key: the sum of its tasks' for a number of events, else the smallest.
static int64_t *process_keys(const struct tui_model *m, const size_t *first) {
    int64_t *keys = calloc(m->task_count + 1, sizeof *keys);
    rf_assert(keys);
    for (size_t i = 0; i < m->task_count; i++) {
        int64_t key = sort_key(m, m->lane_sort, i), *of = &keys[first[i]];
        if (m->lane_sort == TUI_SORT_EVENTS)
            *of += key;
        else if (first[i] == i || key < *of)
            *of = key;
    }
    return keys;
}

// The process that a lane is drawn in: of a ghost it is not its task's.
static size_t process_of(const struct tui_model *m, const struct tui_lane *lane, const size_t *first) {
    if (!lane->ghost) return first[lane->task];
    for (size_t i = 0; i < m->task_count; i++)
        if (m->tasks[i].pid == lane->pid) return first[i];
    return first[lane->task];
}

void tui_lanes_order(struct tui_model *m) {
    if (!m->lane_count) {
        m->lanes_front = 0;
        return;
    }
    size_t *first = processes_of(m);
    int64_t *keys = process_keys(m, first);
    struct place *places = calloc(m->lane_count, sizeof *places);
    rf_assert(places);
    for (size_t i = 0; i < m->lane_count; i++) {
        size_t process = process_of(m, &m->lanes[i], first);
        places[i] = (struct place){.lane = m->lanes[i],
                                   .process = process,
                                   .key = keys[process],
                                   .name = m->lane_sort == TUI_SORT_NAME ? m->tasks[process].name : NULL};
    }
    size_t all = m->verdict ? m->verdict->count : 0, front = mark_front(m, places, all);
    if (all > 1 && front > MOST_IN_FRONT && !*m->lane_filter) front = mark_front(m, places, m->finding);
    qsort(places, m->lane_count, sizeof *places, by_place);
    for (size_t i = 0; i < m->lane_count; i++)
        m->lanes[i] = places[i].lane;
    m->lanes_front = front;
    m->lanes_finding = m->finding;
    free(places);
    free(keys);
    free(first);
}

// ---- rows

size_t tui_lane_of_focus(const struct tui_model *m) {
    for (size_t i = 0; i < m->lane_count; i++)
        if (!m->lanes[i].ghost && m->lanes[i].tid == m->focus.tid) return i;
    return 0;
}

// A line that says how many are missing is worth it from three on.
static bool all_shown(const struct tui_model *m) {
    return !*m->lane_filter && (!m->lanes_folded || m->lane_count - m->lanes_front < 3);
}

size_t tui_lane_rows(const struct tui_model *m) {
    if (all_shown(m)) return m->lane_count;
    return m->lanes_front + (tui_lane_of_focus(m) >= m->lanes_front && m->lane_count);
}

size_t tui_lane_at(const struct tui_model *m, size_t row) {
    return row < m->lanes_front || all_shown(m) ? row : tui_lane_of_focus(m);
}

size_t tui_lane_row_of_focus(const struct tui_model *m) {
    size_t lane = tui_lane_of_focus(m);
    return lane < m->lanes_front || all_shown(m) ? lane : m->lanes_front;
}

size_t tui_lanes_hidden(const struct tui_model *m) {
    return m->lane_count - tui_lane_rows(m);
}

void tui_lanes_hidden_text(const struct tui_model *m, char *out, size_t size) {
    size_t hidden = tui_lanes_hidden(m);
    *out = 0;
    if (hidden)
        snprintf(out, size, "+%zu other%s, %s", hidden, hidden == 1 ? "" : "s",
                 *m->lane_filter ? "Esc shows all" : "z unfolds");
}

const char *tui_lane_sort_name(enum tui_lane_sort sort) {
    static const char *const names[TUI_SORTS] = {"birth", "number of events", "end, the last first", "name"};
    return names[sort];
}

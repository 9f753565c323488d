// Lanes: one per task; behind a process's tasks the ghosts, the vanished threads whose locks it inherited.
#include "tui/lanes.h"

#include "tui/focus.h"
#include "tui/lane_rows.h"

#include <stdio.h>
#include <stdlib.h>

static struct tui_lane *add(struct tui_model *m, size_t task, int pid) {
    struct tui_lane *lanes = reallocarray(m->lanes, m->lane_count + 1, sizeof *lanes);
    rf_assert(lanes);
    m->lanes = lanes;
    struct tui_lane *lane = &lanes[m->lane_count++];
    const struct tui_task *t = &m->tasks[task];
    *lane = (struct tui_lane){.task = task, .tid = t->tid, .pid = pid, .thread = t->tid != t->pid};
    return lane;
}

// A tree of maxima over the ends of the lane's spans: leaf i is reach[leaves + i], a node holds the larger of
// its two.
static void index_spans(const struct tui_model *m, struct tui_lane *lane) {
    size_t leaves = 1;
    while (leaves < lane->span_count)
        leaves *= 2;
    lane->leaves = leaves;
    lane->reach = calloc(2 * leaves, sizeof *lane->reach);
    rf_assert(lane->reach);
    for (size_t i = 0; i < lane->span_count; i++) {
        uint64_t to = m->verdict->spans[lane->spans[i]].to;
        lane->reach[leaves + i] = to ? to : UINT64_MAX;
    }
    for (size_t i = leaves - 1; i > 0; i--) {
        uint64_t left = lane->reach[2 * i], right = lane->reach[2 * i + 1];
        lane->reach[i] = left > right ? left : right;
    }
}

// The last span below index `below` that reaches to `from` or further; span_count: none.
static size_t last_reaching(const struct tui_lane *lane, size_t below, uint64_t from) {
    if (!below) return lane->span_count;
    size_t node = lane->leaves + below - 1;
    while (lane->reach[node] < from) {
        while (node > 1 && !(node & 1))
            node /= 2; // a left child: nothing to its left under this parent
        if (node <= 1) return lane->span_count;
        node -= 1; // the left sibling
    }
    while (node < lane->leaves)
        node = lane->reach[2 * node + 1] >= from ? 2 * node + 1 : 2 * node;
    return node - lane->leaves;
}

// The first span that begins behind `event`.
static size_t begins_behind(const struct tui_model *m, const struct tui_lane *lane, uint64_t event) {
    size_t low = 0, high = lane->span_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->verdict->spans[lane->spans[middle]].from <= event)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_span(struct tui_lane *lane, size_t span) {
    if ((lane->span_count & (lane->span_count - 1)) == 0) { // full at each power of two
        size_t size = lane->span_count ? lane->span_count * 2 : 1;
        lane->spans = reallocarray(lane->spans, size, sizeof *lane->spans);
        rf_assert(lane->spans);
    }
    lane->spans[lane->span_count++] = span;
}

static int by_from(const void *a, const void *b, void *context) {
    const struct held_span *spans = context, *x = &spans[*(const size_t *)a], *y = &spans[*(const size_t *)b];
    return x->from < y->from ? -1 : x->from > y->from;
}

void tui_lanes_release(struct tui_model *m) {
    for (size_t i = 0; i < m->lane_count; i++) {
        free(m->lanes[i].spans);
        free(m->lanes[i].reach);
    }
    free(m->lanes);
    m->lanes = NULL;
    m->lane_count = 0;
}

// A ghost, or a lane of a task, by whom it belongs to.
struct lane_name {
    int tid, pid; // pid 0: not a ghost's
    size_t index;
};

static int by_lane_name(const void *a, const void *b) {
    const struct lane_name *x = a, *y = b;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static struct lane_name name_of(const struct held_span *span) {
    return (struct lane_name){.tid = span->tid, .pid = span->ghost ? span->pid : 0};
}

// One for each vanished thread in each process that inherited a lock of it.
static void add_ghosts(struct tui_model *m) {
    const struct verdict *v = m->verdict;
    struct lane_name *ghosts = calloc(v->span_count + 1, sizeof *ghosts);
    rf_assert(ghosts);
    size_t count = 0;
    for (size_t i = 0; i < v->span_count; i++) {
        if (v->spans[i].ghost) ghosts[count++] = name_of(&v->spans[i]);
    }
    qsort(ghosts, count, sizeof *ghosts, by_lane_name);
    for (size_t i = 0; i < count; i++) {
        size_t task = tui_model_task_index(m, ghosts[i].tid);
        bool twice = i && !by_lane_name(&ghosts[i - 1], &ghosts[i]);
        if (!twice && task < m->task_count && tui_model_task_index(m, ghosts[i].pid) < m->task_count)
            add(m, task, ghosts[i].pid)->ghost = true;
    }
    free(ghosts);
}

// Gives each lane its spans, in the order in which they begin.
static void add_spans(struct tui_model *m) {
    const struct verdict *v = m->verdict;
    size_t *order = calloc(v->span_count, sizeof *order);
    struct lane_name *names = calloc(m->lane_count + 1, sizeof *names);
    rf_assert(order && names);
    for (size_t i = 0; i < v->span_count; i++)
        order[i] = i;
    for (size_t i = 0; i < m->lane_count; i++) {
        const struct tui_lane *lane = &m->lanes[i];
        names[i] = (struct lane_name){lane->tid, lane->ghost ? lane->pid : 0, i};
    }
    qsort(names, m->lane_count, sizeof *names, by_lane_name);
    qsort_r(order, v->span_count, sizeof *order, by_from, v->spans);
    for (size_t i = 0; i < v->span_count; i++) {
        struct lane_name wanted = name_of(&v->spans[order[i]]);
        const struct lane_name *found = bsearch(&wanted, names, m->lane_count, sizeof *names, by_lane_name);
        if (found) add_span(&m->lanes[found->index], order[i]);
    }
    for (size_t i = 0; i < m->lane_count; i++) {
        if (m->lanes[i].span_count) index_spans(m, &m->lanes[i]);
    }
    free(names);
    free(order);
}

void tui_lanes_build(struct tui_model *m) {
    tui_lanes_release(m);
    for (size_t i = 0; i < m->task_count; i++)
        add(m, i, m->tasks[i].pid);
    if (m->verdict) add_ghosts(m);
    tui_lanes_order(m);
    if (m->verdict && m->verdict->span_count) add_spans(m);
}

void tui_lanes_follow(struct tui_model *m) {
    if (m->verdict && m->lanes_finding != m->finding) tui_lanes_order(m);
}

void tui_lanes_filter(struct tui_model *m, const char *text) {
    snprintf(m->lane_filter, sizeof m->lane_filter, "%s", text);
    m->lanes_top = 0;
    tui_lanes_order(m);
}

const struct held_span *tui_lane_span(const struct tui_model *m, const struct tui_lane *lane, uint64_t from,
                                      uint64_t to) {
    if (!lane->span_count) return NULL;
    size_t i = last_reaching(lane, begins_behind(m, lane, to), from);
    return i < lane->span_count ? &m->verdict->spans[lane->spans[i]] : NULL;
}

enum tui_lane_state tui_lane_state(const struct tui_model *m, size_t task, uint64_t from, uint64_t to) {
    const struct tui_source *s = m->source;
    const struct tui_task *t = &m->tasks[task];
    if (to < t->birth) return TUI_LANE_ABSENT;
    if (t->death && from > t->death) return TUI_LANE_ABSENT;
    uint64_t rank = s->task_rank(s->context, task, to), before = s->task_rank(s->context, task, from - 1);
    uint8_t kind = EV_NONE;
    if (rank) s->task_select(s->context, task, rank, &kind);
    bool waits = kind == EV_ENTER || kind == EV_STUCK;
    if (from > s->last(s->context)) return waits ? TUI_LANE_WAITS : TUI_LANE_ABSENT;
    if (rank > before) return TUI_LANE_RAN;
    return waits ? TUI_LANE_WAITS : TUI_LANE_READY;
}

size_t tui_held(const struct tui_model *m, size_t *out, size_t max) {
    size_t count = 0;
    for (size_t i = 0; m->verdict && i < m->lane_count; i++) {
        const struct tui_lane *lane = &m->lanes[i];
        if (!lane->span_count) continue;
        size_t at = last_reaching(lane, begins_behind(m, lane, m->focus.event), m->focus.event + 1);
        while (at < lane->span_count && count < max) {
            out[count++] = lane->spans[at];
            at = last_reaching(lane, at, m->focus.event + 1);
        }
    }
    return count;
}

const struct finding *tui_stuck(const struct tui_model *m, int tid, uint64_t *event) {
    for (size_t i = 0; m->verdict && i < m->verdict->count; i++) {
        const struct finding *f = &m->verdict->findings[i];
        if (f->kind == FINDING_TORN_DATA) continue; // it crashed
        if (f->waiter.tid == tid) {
            *event = f->waiting.event;
            return f;
        }
        for (size_t j = 0; j < f->edge_count; j++) {
            if (f->edges[j].waiter.tid != tid) continue;
            *event = f->edges[j].waiting.event;
            return f;
        }
    }
    return NULL;
}

void tui_lanes_fit(struct tui_model *m, bool whole) {
    double last = (double)m->source->last(m->source->context), first = 1;
    m->lane_whole = whole;
    if (!whole) {
        for (size_t i = 0; i < m->story.count; i++) {
            const struct tui_story_line *line = &m->story.lines[i];
            bool counts = line->sort >= TUI_STORY_LOCK && line->sort <= TUI_STORY_WAIT && line->event;
            if (counts && line->finding == m->finding && (first == 1 || (double)line->event < first)) {
                first = (double)line->event;
            }
        }
    }
    double length = last - first + 1;
    if (first > 1) {
        double margin = length / 3 < 4 ? 4 : length / 3; // what came before: the birth of the holder, often
        first = first - margin < 1 ? 1 : first - margin;
        length = last - first + 1;
    }
    // Room behind the end, where what waits for ever goes on for ever.
    m->lane_first = first;
    m->lane_span = length + (m->verdict && m->verdict->count ? length / 3 : 0);
    if (m->lane_span < 8) m->lane_span = 8;
}

static void limit(struct tui_model *m) {
    double last = (double)m->source->last(m->source->context);
    if (m->lane_span < 8) m->lane_span = 8;
    if (m->lane_span > last * 1.5 + 8) m->lane_span = last * 1.5 + 8;
    if (m->lane_first > last) m->lane_first = last;
    if (m->lane_first < 1) m->lane_first = 1;
}

static void fold(struct tui_model *m) {
    m->lanes_folded = !m->lanes_folded;
    if (*m->lane_filter)
        tui_model_message(m, true, "only tasks with '%s' are shown; Esc shows all", m->lane_filter);
    else if (m->lanes_folded && !tui_lanes_hidden(m))
        tui_model_message(m, false, "nothing to fold: all tasks have a part in it, or nearly all");
}

bool tui_lanes_action(struct tui_model *m, enum tui_action action) {
    double focus = (double)m->focus.event, share = (focus - m->lane_first) / m->lane_span;
    if (share < 0 || share > 1) share = 0.5;
    switch (action) {
    case TUI_ACTION_ZOOM_IN:
        m->lane_span /= 2;
        break;
    case TUI_ACTION_ZOOM_OUT:
        m->lane_span *= 2;
        break;
    case TUI_ACTION_PAN_LEFT:
        m->lane_first -= m->lane_span / 4;
        limit(m);
        return true;
    case TUI_ACTION_PAN_RIGHT:
        m->lane_first += m->lane_span / 4;
        limit(m);
        return true;
    case TUI_ACTION_FIT:
        tui_lanes_fit(m, !m->lane_whole);
        return true;
    case TUI_ACTION_CENTRE:
        share = 0.5;
        break;
    case TUI_ACTION_FOLD:
        fold(m);
        return true;
    case TUI_ACTION_SORT:
        m->lane_sort = (m->lane_sort + 1) % TUI_SORTS;
        tui_lanes_order(m);
        tui_model_message(m, false, "processes by %s", tui_lane_sort_name(m->lane_sort));
        return true;
    default:
        return false;
    }
    limit(m);
    m->lane_first = focus - share * m->lane_span;
    limit(m);
    return true;
}

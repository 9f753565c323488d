// Lanes: time from left to right (in events), one row per task. A row's cells say what the task did, held,
// waited for.
#include "tui/view_lanes.h"

#include "tui/focus.h"
#include "tui/lane_rows.h"
#include "tui/lanes.h"
#include "tui/moment.h"
#include "tui/screen.h"
#include "tui/scroll.h"
#include "tui/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Columns of the plot and the events behind each.
struct plot {
    struct tui_model *m;
    struct tui_area area; // without the labels
    uint64_t last;
};

static int label_width(int w) {
    int label = w * 3 / 10;
    return label < 14 ? 14 : label > 28 ? 28 : label;
}

// By hand: floor() would need libm for nothing else. Numbers of events are far below 2^53.
static double whole_below(double x) {
    double cut = (double)(int64_t)x;
    return cut > x ? cut - 1 : cut;
}

static int column_of(const struct plot *p, uint64_t event) {
    double x = whole_below(((double)event - p->m->lane_first) * p->area.w / p->m->lane_span + 1e-9);
    return x < -1 ? -1 : x > p->area.w ? p->area.w : (int)x;
}

// The events that column c stands for; when an event is wider than a column: that event.
static void events_of(const struct plot *p, int c, uint64_t *from, uint64_t *to) {
    double a = p->m->lane_first + c * p->m->lane_span / p->area.w - 1e-9;
    double b = p->m->lane_first + (c + 1) * p->m->lane_span / p->area.w - 1e-9;
    double low = -whole_below(-a), high = -whole_below(-b) - 1;
    if (high < low) low = high = whole_below(a + 2e-9);
    *from = low < 1 ? 1 : (uint64_t)low;
    *to = high < 1 ? 1 : (uint64_t)high;
}

static void draw_states(const struct plot *p, int y, const struct tui_lane *lane) {
    static const struct {
        enum tui_glyph glyph;
        enum tui_role role;
    } looks[] = {[TUI_LANE_RAN] = {TUI_GLYPH_RUN, TUI_ROLE_RUN},
                 [TUI_LANE_READY] = {TUI_GLYPH_READY, TUI_ROLE_READY},
                 [TUI_LANE_WAITS] = {TUI_GLYPH_WAIT, TUI_ROLE_WAIT}};
    const struct tui_task *t = &p->m->tasks[lane->task];
    for (int c = 0; c < p->area.w; c++) {
        uint64_t from, to;
        events_of(p, c, &from, &to);
        enum tui_lane_state state = tui_lane_state(p->m, lane->task, from, to);
        if (state != TUI_LANE_ABSENT) tui_cell_glyph(&p->area, y, c, looks[state].role, looks[state].glyph);
    }
    if (t->death) tui_cell_glyph(&p->area, y, column_of(p, t->death), TUI_ROLE_RUN, TUI_GLYPH_DEATH);
}

// A run of columns in which the lane holds one lock: [name====#==]
static void draw_run(const struct plot *p, int y, const struct tui_lane *lane, const struct held_span *span,
                     int begin, int end) {
    enum tui_role role = lane->ghost ? TUI_ROLE_GHOST : TUI_ROLE_LOCK;
    const struct tui_screen *s = p->area.screen;
    for (int c = begin; c < end; c++) {
        const struct tui_cell *cell = &s->cells[(p->area.y + y) * s->cols + p->area.x + c];
        bool ran = !lane->ghost && cell->ch == tui_glyph(s, TUI_GLYPH_RUN);
        tui_cell_glyph(&p->area, y, c, role,
                       lane->ghost ? TUI_GLYPH_GHOST
                       : ran       ? TUI_GLYPH_RUN
                                   : TUI_GLYPH_HELD);
    }
    char name[80];
    if (*span->symbol)
        snprintf(name, sizeof name, "%s", span->symbol);
    else
        snprintf(name, sizeof name, "0x%llx", (unsigned long long)span->lock);
    bool opens = column_of(p, span->from) >= begin, closes = span->to && column_of(p, span->to) < end;
    bool forever = lane->ghost && !span->to && end == p->area.w;
    int x = begin;
    if (opens && end - begin > 1) tui_cell_glyph(&p->area, y, x++, role, TUI_GLYPH_BEGIN);
    int room = end - x - (closes || forever);
    if (room >= 3) {
        x = tui_text(&p->area, y, x, room, role, name);
        if (lane->ghost && end - x > 20) tui_text(&p->area, y, x, end - x - 1, role, ": still locked here");
    }
    if (closes) tui_cell_glyph(&p->area, y, end - 1, role, TUI_GLYPH_FREE);
    if (forever) tui_cell_glyph(&p->area, y, end - 1, role, TUI_GLYPH_FOREVER);
}

static void draw_spans(const struct plot *p, int y, const struct tui_lane *lane) {
    const struct held_span *run = NULL;
    int begin = 0;
    for (int c = 0; c <= p->area.w; c++) {
        const struct held_span *span = NULL;
        if (c < p->area.w) {
            uint64_t from, to;
            events_of(p, c, &from, &to);
            span = tui_lane_span(p->m, lane, from, to);
        }
        if (span == run) continue;
        if (run) draw_run(p, y, lane, run, begin, c);
        run = span;
        begin = c;
    }
}

static void draw_stuck(const struct plot *p, int y, const struct tui_lane *lane) {
    uint64_t since = 0;
    const struct finding *f = tui_stuck(p->m, lane->tid, &since);
    if (!f || !since || lane->ghost) return;
    int c = column_of(p, since);
    if (c >= p->area.w) return;
    const struct finding_lock *lock = &f->lock;
    for (size_t i = 0; i < f->edge_count; i++) {
        if (f->edges[i].waiter.tid == lane->tid && f->waiter.tid != lane->tid) lock = &f->edges[i].lock;
    }
    char name[64];
    for (int x = c < 0 ? 0 : c; x < p->area.w; x++)
        tui_cell_glyph(&p->area, y, x, TUI_ROLE_STUCK, TUI_GLYPH_WAIT);
    if (c >= 0) tui_cell_glyph(&p->area, y, c, TUI_ROLE_STUCK, TUI_GLYPH_STUCK);
    int room = p->area.w - c - 2;
    if (room > 6 && lock->address) {
        tui_textf(&p->area, y, c + 1, room, TUI_ROLE_STUCK, "waits for %s",
                  tui_lock_name(lock, name, sizeof name));
    } else if (room > 4) {
        tui_text(&p->area, y, c + 1, room, TUI_ROLE_STUCK, "waits");
    }
    tui_cell_glyph(&p->area, y, p->area.w - 1, TUI_ROLE_STUCK, TUI_GLYPH_FOREVER);
}

// Row of a task's lane, -1 above what is shown, h below.
static int row_of(const struct plot *p, int tid) {
    size_t rows = tui_lane_rows(p->m);
    for (size_t i = 0; i < rows; i++) {
        const struct tui_lane *lane = &p->m->lanes[tui_lane_at(p->m, i)];
        if (lane->tid != tid || lane->ghost) continue;
        if (i < p->m->lanes_top) return -1;
        size_t row = i - p->m->lanes_top;
        return row >= (size_t)p->area.h ? p->area.h : (int)row;
    }
    return -1;
}

static void draw_edge(const struct plot *p, int y, const struct tui_lane *lane) {
    const struct tui_task *t = &p->m->tasks[lane->task];
    if (!t->birth || !t->parent_tid) return;
    int c = column_of(p, t->birth);
    if (c < 0 || c >= p->area.w) return;
    enum tui_role role = lane->thread ? TUI_ROLE_READY : TUI_ROLE_FORK;
    int parent = row_of(p, t->parent_tid);
    if (parent < 0 && y < 0) return;
    if (parent >= 0 && parent < y) tui_cell_glyph(&p->area, parent, c, role, TUI_GLYPH_FORKS);
    for (int row = parent < 0 ? 0 : parent + 1; row < y; row++) {
        const struct tui_screen *s = p->area.screen;
        wchar_t ch = s->cells[(p->area.y + row) * s->cols + p->area.x + c].ch;
        bool text = ch > L' ' && ch < 127 && ch != tui_glyph(s, TUI_GLYPH_READY) &&
                    ch != tui_glyph(s, TUI_GLYPH_RUN) && ch != tui_glyph(s, TUI_GLYPH_WAIT) &&
                    ch != tui_glyph(s, TUI_GLYPH_HELD) && ch != tui_glyph(s, TUI_GLYPH_GHOST);
        if (!text) tui_cell_glyph(&p->area, row, c, role, TUI_GLYPH_EDGE); // a lock's name stays readable
    }
    tui_cell_glyph(&p->area, y, c, role, TUI_GLYPH_BORN);
}

static void draw_label(const struct tui_model *m, const struct tui_area *a, int y, int width,
                       const struct tui_lane *lane) {
    const struct tui_task *t = &m->tasks[lane->task];
    const char *name = *t->start_routine ? t->start_routine : t->name;
    bool here = !lane->ghost && lane->tid == m->focus.tid;
    if (here) tui_cell_glyph(a, y, 0, TUI_ROLE_HERE, TUI_GLYPH_POINTER);
    if (lane->ghost) {
        tui_cell_glyph(a, y, 2, TUI_ROLE_GHOST, TUI_GLYPH_VANISHED);
        tui_textf(a, y, 4, width - 5, TUI_ROLE_GHOST, "%s (gone)", name);
    } else if (lane->thread) {
        tui_textf(a, y, 2, width - 3, here ? TUI_ROLE_HERE : TUI_ROLE_NORMAL, "%d %s", lane->tid, name);
    } else {
        tui_textf(a, y, 1, width - 2, here ? TUI_ROLE_HERE : TUI_ROLE_NORMAL, "%d %s", lane->tid, name);
    }
}

// Puts text on the axis unless something is there already.
static void axis_text(const struct plot *p, int y, int x, enum tui_role role, int glyph, uint64_t number) {
    char text[32];
    if (p->m->times)
        tui_moment_text(tui_moment_of(p->m, number), text, sizeof text);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    int width = (int)strlen(text) + (glyph >= 0);
    const struct tui_screen *s = p->area.screen;
    if (x < 0 || x >= p->area.w) return;
    if (x + width >
        p->area
            .w) { // at the right edge: the number before its symbol would mislead, the symbol alone does not
        if (glyph >= 0) tui_cell_glyph(&p->area, y, x, role, (enum tui_glyph)glyph);
        return;
    }
    for (int c = x - 1; c <= x + width; c++) {
        if (c < 0 || c >= p->area.w) continue;
        if (s->cells[(p->area.y + y) * s->cols + p->area.x + c].ch == L' ') continue;
        if (glyph >= 0 && s->cells[(p->area.y + y) * s->cols + p->area.x + x].ch == L' ') {
            tui_cell_glyph(&p->area, y, x, role, (enum tui_glyph)glyph);
        }
        return;
    }
    if (glyph >= 0) tui_cell_glyph(&p->area, y, x++, role, (enum tui_glyph)glyph);
    tui_text(&p->area, y, x, width, role, text);
}

static void draw_axis(const struct plot *p, int y) {
    const struct tui_model *m = p->m;
    axis_text(p, y, column_of(p, m->focus.event), TUI_ROLE_HERE, TUI_GLYPH_HERE, m->focus.event);
    for (int i = 0; i < 26; i++) {
        int x = m->marks[i].place.event ? column_of(p, m->marks[i].place.event) : -1;
        if (x >= 0 && x < p->area.w &&
            p->area.screen->cells[(p->area.y + y) * p->area.screen->cols + p->area.x + x].ch == L' ')
            tui_cell_put(&p->area, y, x, TUI_ROLE_MATCH, (wchar_t)('a' + i));
    }
    for (size_t i = 0; i < m->difference_count; i++)
        if (m->differences[i])
            axis_text(p, y, column_of(p, m->differences[i]), TUI_ROLE_STUCK, TUI_GLYPH_DIFFERS,
                      m->differences[i]);
    for (size_t i = 0; i < m->story.count; i++) {
        const struct tui_story_line *line = &m->story.lines[i];
        static const struct {
            enum tui_glyph glyph;
            enum tui_role role;
        } marks[] = {[TUI_STORY_MADE] = {TUI_GLYPH_MADE, TUI_ROLE_LOCK},
                     [TUI_STORY_LOCK] = {TUI_GLYPH_LOCK, TUI_ROLE_LOCK},
                     [TUI_STORY_FORK] = {TUI_GLYPH_FORK, TUI_ROLE_FORK},
                     [TUI_STORY_WAIT] = {TUI_GLYPH_STUCK, TUI_ROLE_STUCK}};
        if (!tui_story_evidence(line)) continue;
        axis_text(p, y, column_of(p, line->event), marks[line->sort].role, (int)marks[line->sort].glyph,
                  line->event);
    }
    for (int c = 0; c < p->area.w; c += p->m->times ? 15 : 12) {
        uint64_t from, to;
        events_of(p, c, &from, &to);
        if (from <= p->last && column_of(p, from) == c) axis_text(p, y, c, TUI_ROLE_DIM, -1, from);
    }
}

void tui_view_lanes(struct tui_model *m, const struct tui_area *a) {
    int label = label_width(a->w), rows = a->h - 1;
    struct plot p = {
        m, {a->screen, a->y, a->x + label, a->h, a->w - label}, m->source->last(m->source->context)};
    if (rows < 1 || !m->lane_count) return;
    char hidden[64];
    tui_lanes_hidden_text(m, hidden, sizeof hidden);
    size_t focus = tui_lane_row_of_focus(m), shown = tui_lane_rows(m), all = shown + (*hidden != 0);
    bool end = focus + 1 == shown && all > shown && rows > 1; // with what says how many are missing
    tui_scroll(&m->lanes_top, all, rows, focus, end ? all : focus + 1);
    tui_text(a, rows, 1, label - 2, TUI_ROLE_DIM,
             all > (size_t)rows ? m->times ? "time (j: more)" : "event (j: more)"
             : m->times         ? "time"
                                : "event");
    draw_axis(&p, rows);
    p.area.h = rows;
    for (int y = 0; y < rows && m->lanes_top + (size_t)y < shown; y++) {
        const struct tui_lane *lane = &m->lanes[tui_lane_at(m, m->lanes_top + (size_t)y)];
        draw_label(m, a, y, label, lane);
        if (!lane->ghost) draw_states(&p, y, lane);
        draw_spans(&p, y, lane);
        draw_stuck(&p, y, lane);
    }
    for (int y = 0; y < rows && m->lanes_top + (size_t)y < shown; y++) {
        const struct tui_lane *lane = &m->lanes[tui_lane_at(m, m->lanes_top + (size_t)y)];
        if (!lane->ghost) draw_edge(&p, y, lane);
    }
    if (*hidden && shown - m->lanes_top < (size_t)rows)
        tui_text(a, (int)(shown - m->lanes_top), 1, a->w - 2, TUI_ROLE_DIM, hidden);
    int c = column_of(&p, m->focus.event);
    for (int y = 0; y < rows; y++)
        tui_cell_role(&p.area, y, c, TUI_ROLE_CURSOR);
}

void tui_lanes_click(struct tui_model *m, const struct tui_slot *slot, int y, int x) {
    int label = label_width(slot->w);
    struct plot p = {m, {NULL, 0, 0, 0, slot->w - label}, m->source->last(m->source->context)};
    uint64_t from = m->focus.event, to;
    size_t row = m->lanes_top + (size_t)y;
    if (x >= label) events_of(&p, x - label, &from, &to);
    tui_model_focus(m, from, row < tui_lane_rows(m) ? m->lanes[tui_lane_at(m, row)].tid : m->focus.tid);
}

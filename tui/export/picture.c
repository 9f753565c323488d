// The lanes as SVG: one row per task, time from left to right in events. The scale is stretched around the evidence:
// between two places of it a stretch gets room by the logarithm of its length, and the axis says how many events
// it stands for. So a recording of any length is one screen wide.
#include "tui/export/picture.h"

#include "tui/lanes.h"
#include "tui/story.h"
#include "tui/export/markup.h"

#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 860, // of the plot, in CSS pixels
    TAIL = 130,  // of it: behind the last event, where what waits for ever goes on for ever
    ROW = 48,
    BAR = 32, // of a row: the middle of its bar
    HALF = 9, // of a lock's height
    AXIS = 46,
    LANES_MAX = 24,
    MARKS_MAX = 48,
    FINDINGS_MAX = 64, // looked at to choose lanes and marks
    SPANS_MAX = 300,   // of the findings' locks, drawn one by one in a lane
    LABELS_MAX = 24,
    STEP = 3, // pixels of a column of states
};
#define CHAR 6.7 // pixels of a character of the small font, at most

struct mark {
    uint64_t event;
    char symbol[8]; // "" for a birth of a thread
    char class[8];
    int rank; // lower: more important
};

struct plot {
    FILE *out;
    const struct tui_model *m;
    uint64_t last;
    struct mark marks[MARKS_MAX + 2]; // by event; the last one is behind the end
    double x[MARKS_MAX + 2];
    size_t mark_count;
    const struct tui_lane *lanes[LANES_MAX];
    size_t lane_count;
    struct label {
        double from, to;
        int y;
        const char *class;
        char text[120];
    } labels[LANES_MAX * LABELS_MAX];
    size_t label_count, lane_labels; // of the lanes above the one that is being drawn
};

// ---- what is shown
static size_t findings_looked_at(const struct tui_model *m) {
    if (!m->verdict) return 0;
    return m->verdict->count < FINDINGS_MAX ? m->verdict->count : FINDINGS_MAX;
}

static bool is_of_finding(const struct finding *f, int tid) {
    if (tid == f->waiter.tid || tid == f->holder.tid || tid == f->fork.tid) return true;
    for (size_t i = 0; i < f->edge_count; i++)
        if (tid == f->edges[i].waiter.tid || tid == f->edges[i].holder.tid) return true;
    return false;
}

static bool matters(const struct tui_model *m, const struct tui_lane *lane) {
    for (size_t i = 0; i < findings_looked_at(m); i++)
        if (is_of_finding(&m->verdict->findings[i], lane->tid)) return true;
    return false;
}

static bool is_lock_of_finding(const struct tui_model *m, uint64_t lock) {
    for (size_t i = 0; i < findings_looked_at(m); i++) {
        const struct finding *f = &m->verdict->findings[i];
        if (f->lock.address == lock) return true;
        for (size_t k = 0; k < f->edge_count; k++)
            if (f->edges[k].lock.address == lock) return true;
    }
    return false;
}

// Those of the findings first, then the others as long as there is room; in the order of the lanes.
static void choose_lanes(struct plot *p) {
    size_t important = 0, others;
    for (size_t i = 0; i < p->m->lane_count; i++)
        important += matters(p->m, &p->m->lanes[i]);
    others = important < LANES_MAX ? LANES_MAX - important : 0;
    for (size_t i = 0; i < p->m->lane_count && p->lane_count < LANES_MAX; i++) {
        const struct tui_lane *lane = &p->m->lanes[i];
        bool is = matters(p->m, lane);
        if (!is && !others) continue;
        if (!is) others--;
        p->lanes[p->lane_count++] = lane;
    }
}

static size_t row_of(const struct plot *p, int tid) {
    for (size_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i]->tid == tid && !p->lanes[i]->ghost) return i;
    return p->lane_count;
}

// ---- the scale
static void add_mark(struct plot *p, uint64_t event, const char *symbol, const char *class, int rank) {
    if (!event || event > p->last) return;
    for (size_t i = 0; i < p->mark_count; i++) {
        struct mark *mark = &p->marks[i];
        if (mark->event != event) continue;
        if (rank >= mark->rank) return;
        p->mark_count--;
        memmove(mark, mark + 1, (p->mark_count - i) * sizeof *mark);
    }
    if (p->mark_count == MARKS_MAX) return;
    struct mark *mark = &p->marks[p->mark_count++];
    *mark = (struct mark){.event = event, .rank = rank};
    snprintf(mark->symbol, sizeof mark->symbol, "%s", symbol);
    snprintf(mark->class, sizeof mark->class, "%s", class);
}

static int by_event(const void *a, const void *b) {
    const struct mark *x = a, *y = b;
    return x->event < y->event ? -1 : x->event > y->event;
}

// 16 times the binary logarithm of n+1, by straight lines between the powers of two: no libm for it.
static double logarithm(uint64_t n) {
    uint64_t value = n + 1;
    int whole = 63 - __builtin_clzll(value);
    return whole + (double)(value - (1ull << whole)) / (double)(1ull << whole);
}

static void place_marks(struct plot *p) {
    const struct tui_model *m = p->m;
    add_mark(p, 1, "", "", 9);
    for (size_t i = 0; i < m->story.count; i++) {
        const struct tui_story_line *line = &m->story.lines[i];
        if (line->sort == TUI_STORY_MADE) add_mark(p, line->event, "○", "lock", 2);
        if (line->sort == TUI_STORY_LOCK) add_mark(p, line->event, "●", "lock", 1);
        if (line->sort == TUI_STORY_FORK) add_mark(p, line->event, "◆", "fork", 1);
        if (line->sort == TUI_STORY_WAIT) add_mark(p, line->event, "✗", "stuck", 0);
    }
    for (size_t i = 0; i < p->lane_count; i++) {
        const struct tui_task *t = &m->tasks[p->lanes[i]->task];
        if (p->lanes[i]->ghost) continue;
        add_mark(p, t->birth, t->tid == t->pid ? "◆" : "", t->tid == t->pid ? "fork" : "", 5);
        add_mark(p, t->death, "", "", 8);
    }
    qsort(p->marks, p->mark_count, sizeof *p->marks, by_event);
    p->marks[p->mark_count++] = (struct mark){.event = p->last + 1, .rank = 9};
    double sum = 0, at = 0;
    for (size_t i = 1; i < p->mark_count; i++)
        sum += 1 + logarithm(p->marks[i].event - p->marks[i - 1].event);
    for (size_t i = 0; i < p->mark_count; i++) {
        if (i) at += 1 + logarithm(p->marks[i].event - p->marks[i - 1].event);
        p->x[i] = at / (sum > 0 ? sum : 1) * (WIDTH - TAIL);
    }
}

static double x_of(const struct plot *p, uint64_t event) {
    size_t i = 1;
    if (event > p->last) return WIDTH - TAIL;
    while (i + 1 < p->mark_count && p->marks[i].event <= event)
        i++;
    uint64_t from = p->marks[i - 1].event, to = p->marks[i].event;
    if (event <= from) return p->x[i - 1];
    return p->x[i - 1] + (p->x[i] - p->x[i - 1]) * (double)(event - from) / (double)(to - from);
}

// The events that begin in [a, b); if none does, the one that is going on. False behind the last one.
static bool events_in(const struct plot *p, double a, double b, uint64_t *from, uint64_t *to) {
    uint64_t ends[2];
    double at[2] = {a, b};
    if (a >= WIDTH - TAIL) return false;
    for (int k = 0; k < 2; k++) {
        size_t i = 1;
        while (i + 1 < p->mark_count && p->x[i] <= at[k])
            i++;
        double share = (at[k] - p->x[i - 1]) / (p->x[i] - p->x[i - 1]);
        double event =
            (double)p->marks[i - 1].event + share * (double)(p->marks[i].event - p->marks[i - 1].event);
        ends[k] = (uint64_t)event;
        if ((double)ends[k] < event - 1e-6) ends[k]++; // rounded up
    }
    *from = ends[0];
    *to = ends[1] - 1;
    if (ends[1] <= ends[0]) *from = *to = ends[0] > 1 ? ends[0] - 1 : 1;
    if (*to > p->last) *to = p->last;
    if (*from > *to) *from = *to;
    return true;
}

// ---- texts over the bars
static double text_width(const char *text) {
    size_t characters = 0;
    for (; *text; text++)
        characters += (*text & 0xc0) != 0x80;
    return (double)characters * CHAR;
}

// Puts `text` at x, or as far left of it as the right edge demands, unless something is there already. It is written
// when all lines and bars are.
static void put_label(struct plot *p, double y, double x, const char *class, const char *text) {
    double width = text_width(text);
    if (x + width > WIDTH - 2) x = WIDTH - 2 - width;
    if (x < 0 || p->label_count - p->lane_labels == LABELS_MAX) return;
    for (size_t i = p->lane_labels; i < p->label_count; i++)
        if (x < p->labels[i].to + 4 && x + width + 4 > p->labels[i].from) return;
    struct label *label = &p->labels[p->label_count++];
    *label = (struct label){.from = x, .to = x + width, .y = (int)y + 17, .class = class};
    snprintf(label->text, sizeof label->text, "%s", text);
}

static void draw_labels(const struct plot *p) {
    for (size_t i = 0; i < p->label_count; i++) {
        const struct label *l = &p->labels[i];
        markup(p->out, "<text class=\"over %s\" x=\"%d\" y=\"%d\">%s</text>\n", l->class, (int)l->from, l->y,
               l->text);
    }
}

static void held_name(const struct held_span *span, char *out, size_t size) {
    if (*span->symbol)
        snprintf(out, size, "%.40s", span->symbol);
    else
        snprintf(out, size, "0x%llx", (unsigned long long)span->lock);
}

// ---- one lane
static void draw_state(struct plot *p, double y, enum tui_lane_state state, double from, double to) {
    static const char *const classes[] = {
        [TUI_LANE_RAN] = "ran", [TUI_LANE_READY] = "ready", [TUI_LANE_WAITS] = "waits"};
    if (state == TUI_LANE_ABSENT || to <= from) return;
    if (state == TUI_LANE_RAN)
        markup(p->out, "<rect class=\"ran\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"10\"/>", (int)from,
               (int)y + BAR - 5, (int)(to - from));
    else
        markup(p->out, "<path class=\"%s\" d=\"M%d %dH%d\"/>", classes[state], (int)from, (int)y + BAR,
               (int)to);
}

static void draw_states(struct plot *p, double y, const struct tui_lane *lane) {
    const struct tui_task *t = &p->m->tasks[lane->task];
    enum tui_lane_state run = TUI_LANE_ABSENT;
    double begin = 0;
    for (int x = 0; x <= WIDTH; x += STEP) {
        uint64_t from = p->last + 1, to = p->last + 1;
        enum tui_lane_state state = TUI_LANE_ABSENT;
        events_in(p, x, x + STEP, &from, &to);
        if (x + STEP <= WIDTH) state = tui_lane_state(p->m, lane->task, from, to);
        if (state == run) continue;
        draw_state(p, y, run, begin, x);
        run = state;
        begin = x;
    }
    draw_state(p, y, run, begin, WIDTH);
    if (t->death)
        markup(p->out, "<path class=\"death\" d=\"M%d %dv16\"><title>ends at event %llu</title></path>",
               (int)x_of(p, t->death + 1), (int)y + BAR - 8, (unsigned long long)t->death);
}

static void draw_span(struct plot *p, double y, const struct tui_lane *lane, const struct held_span *span,
                      const char *class) {
    char name[64], text[160];
    double from = x_of(p, span->from), to = span->to ? x_of(p, span->to) : WIDTH;
    if (to < from + 3) to = from + 3;
    held_name(span, name, sizeof name);
    markup(p->out,
           "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"><title>%s: ", class,
           (int)from, (int)y + BAR - HALF, (int)(to - from), 2 * HALF, name);
    markup(p->out, lane->ghost ? "still locked in process %d" : "held by task %d",
           lane->ghost ? lane->pid : lane->tid);
    markup(p->out, ", events %llu", (unsigned long long)span->from);
    if (span->to)
        markup(p->out, " to %llu</title></rect>", (unsigned long long)span->to);
    else
        markup(p->out, " to the end</title></rect>");
    snprintf(text, sizeof text, lane->ghost ? "† %s: still locked here" : "● %s", name);
    put_label(p, y, from, lane->ghost ? "ghost" : "lock", text);
}

// The findings' locks one by one, all others as runs of columns, fainter.
static void draw_spans(struct plot *p, double y, const struct tui_lane *lane) {
    const struct verdict *v = p->m->verdict;
    size_t drawn = 0;
    for (size_t i = 0; i < lane->span_count && drawn < SPANS_MAX; i++) {
        const struct held_span *span = &v->spans[lane->spans[i]];
        if (!is_lock_of_finding(p->m, span->lock)) continue;
        draw_span(p, y, lane, span, lane->ghost ? "heldghost" : "held");
        drawn++;
    }
    const struct held_span *run = NULL;
    for (int x = 0; x <= WIDTH - TAIL && lane->span_count; x += STEP) {
        uint64_t from, to;
        const struct held_span *span = NULL;
        if (events_in(p, x, x + STEP, &from, &to)) span = tui_lane_span(p->m, lane, from, to);
        if (span == run) continue;
        run = span;
        if (span && !is_lock_of_finding(p->m, span->lock)) draw_span(p, y, lane, span, "other");
    }
}

static void draw_stuck(struct plot *p, double y, const struct tui_lane *lane) {
    uint64_t event;
    const struct finding *f = lane->ghost ? NULL : tui_stuck(p->m, lane->tid, &event);
    char name[64], text[160];
    if (!f || !event) return;
    double x = x_of(p, event);
    markup(p->out,
           "<rect class=\"wait4ever\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\">"
           "<title>task %d waits for ever since event %llu</title></rect>",
           (int)x, (int)y + BAR - HALF, (int)(WIDTH - x), 2 * HALF, lane->tid, (unsigned long long)event);
    const struct finding_lock *lock = &f->lock;
    for (size_t i = 0; i < f->edge_count; i++)
        if (f->edges[i].waiter.tid == lane->tid) lock = &f->edges[i].lock;
    const char *wanted = lock->address ? tui_lock_name(lock, name, sizeof name) : NULL;
    if (wanted)
        snprintf(text, sizeof text, "✗ waits for ever for %.40s", wanted);
    else
        snprintf(text, sizeof text, "✗ waits for ever");
    put_label(p, y, x, "stuck", text);
}

// A child that died in torn data waits for nothing.
static void draw_crash(struct plot *p, double y, const struct tui_lane *lane) {
    for (size_t i = 0; i < findings_looked_at(p->m) && !lane->ghost; i++) {
        const struct finding *f = &p->m->verdict->findings[i];
        if (f->kind != FINDING_TORN_DATA || f->waiter.tid != lane->tid || !f->waiting.event) continue;
        char text[64];
        const char *name = sigabbrev_np(f->signal);
        snprintf(text, sizeof text, "✗ crashes (SIG%s)", name ? name : "?");
        put_label(p, y, x_of(p, f->waiting.event), "stuck", text);
    }
}

static void draw_birth(struct plot *p, size_t row) {
    const struct tui_lane *lane = p->lanes[row];
    const struct tui_task *t = &p->m->tasks[lane->task];
    size_t parent = row_of(p, t->parent_tid);
    if (lane->ghost || !t->birth || !t->parent_tid || parent == p->lane_count) return;
    int x = (int)x_of(p, t->birth), y0 = (int)parent * ROW + BAR, y1 = (int)row * ROW + BAR;
    const char *class = lane->thread ? "born" : "forked";
    markup(p->out, "<path class=\"%s\" d=\"M%d %dV%dh5\"><title>event %llu: ", class, x, y0, y1,
           (unsigned long long)t->birth);
    markup(p->out, lane->thread ? "starts thread %d</title></path>" : "makes process %d</title></path>",
           t->tid);
    if (lane->thread)
        markup(p->out, "<circle class=\"bornmark\" cx=\"%d\" cy=\"%d\" r=\"4\"/>", x, y0);
    else
        markup(p->out, "<path class=\"forkmark\" d=\"M%d %dl7 7l-7 7l-7 -7z\"/>", x, y0 - 7);
}

// From who waits to who holds: in the child that is the ghost.
static void draw_wants(struct plot *p, const struct finding_task *waiter, const struct finding_task *holder,
                       uint64_t event, size_t *arrows) {
    size_t from = row_of(p, waiter->tid), to = p->lane_count;
    if (!holder->tid || from == p->lane_count || !event) return;
    for (size_t i = 0; i < p->lane_count; i++)
        if (p->lanes[i]->ghost && p->lanes[i]->tid == holder->tid && p->lanes[i]->pid == waiter->pid) to = i;
    if (to == p->lane_count) to = row_of(p, holder->tid);
    if (to == p->lane_count || to == from) return;
    int x = (int)x_of(p, event) + 14 + 9 * (int)(*arrows % 8);
    if (x > WIDTH - 6) x = WIDTH - 6;
    int y0 = (int)from * ROW + BAR + (to > from ? HALF : -HALF);
    int y1 = (int)to * ROW + BAR + (to > from ? -HALF - 2 : HALF + 2);
    int tip = to > from ? -8 : 8;
    (*arrows)++;
    markup(p->out,
           "<path class=\"wants\" d=\"M%d %dV%d\"><title>task %d waits for what task %d holds</title></path>"
           "<path class=\"tip\" d=\"M%d %dl-5 %dh10z\"/>",
           x, y0, y1 + tip, waiter->tid, holder->tid, x, y1, tip);
}

static void draw_all_wants(struct plot *p) {
    size_t arrows = 0;
    for (size_t i = 0; i < findings_looked_at(p->m); i++) {
        const struct finding *f = &p->m->verdict->findings[i];
        if (f->kind == FINDING_TORN_DATA) continue;
        draw_wants(p, &f->waiter, &f->holder, f->waiting.event, &arrows);
        for (size_t k = 0; k < f->edge_count; k++)
            draw_wants(p, &f->edges[k].waiter, &f->edges[k].holder, f->edges[k].waiting.event, &arrows);
        const struct finding *cause = f->caused_by;
        if (cause && !f->holder.tid) draw_wants(p, &f->waiter, &cause->waiter, f->waiting.event, &arrows);
    }
}

// ---- the axis
// Numbers of marks in two rows, the important ones first; then how many events lie between.
static void draw_axis(struct plot *p) {
    int y = (int)p->lane_count * ROW;
    double taken[2][MARKS_MAX + 2][2];
    size_t used[2] = {0, 0};
    markup(p->out, "<path class=\"axis\" d=\"M0 %dH%d\"/>", y + 4, WIDTH - TAIL);
    markup(p->out, "<path class=\"axis ever\" d=\"M%d %dH%d\"/>", WIDTH - TAIL, y + 4, WIDTH);
    for (int rank = 0; rank < 10; rank++) {
        for (size_t i = 0; i < p->mark_count; i++) {
            const struct mark *mark = &p->marks[i];
            if (mark->rank != rank || mark->event > p->last) continue;
            char text[48];
            snprintf(text, sizeof text, "%s%s%llu", mark->symbol, *mark->symbol ? " " : "",
                     (unsigned long long)mark->event);
            double from = p->x[i] - 3, to = from + text_width(text) + 6;
            for (int line = 0; line < 2; line++) {
                bool free = true;
                for (size_t k = 0; k < used[line] && free; k++)
                    free = to < taken[line][k][0] || from > taken[line][k][1];
                if (!free) continue;
                taken[line][used[line]][0] = from;
                taken[line][used[line]++][1] = to;
                markup(p->out,
                       "<path class=\"axis\" d=\"M%d %dv%d\"/><text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>",
                       (int)p->x[i], y + 4, line ? 20 : 6, *mark->class ? mark->class : "dim", (int)p->x[i],
                       y + 20 + 15 * line, text);
                break;
            }
        }
    }
    markup(p->out, "<text class=\"dim\" x=\"%d\" y=\"%d\">for ever ∞</text>", WIDTH - 70, y + 20);
}

static void draw_guides(struct plot *p) {
    for (size_t i = 0; i < p->mark_count; i++)
        if (p->marks[i].rank <= 1)
            markup(p->out, "<path class=\"guide %s\" d=\"M%d 0V%d\"/>", p->marks[i].class, (int)p->x[i],
                   (int)p->lane_count * ROW + 4);
}

// ---- the figure
static void draw_names(const struct plot *p) {
    FILE *out = p->out;
    fputs("<div class=\"names\" aria-hidden=\"true\">\n", out);
    for (size_t i = 0; i < p->lane_count; i++) {
        const struct tui_lane *lane = p->lanes[i];
        const struct tui_task *t = &p->m->tasks[lane->task];
        const char *class = lane->ghost ? "gone" : lane->thread ? "thread" : "process";
        if (lane->ghost) {
            markup(out, "<div class=\"%s\"><b>† %d %.15s</b><span>vanished in process %d</span></div>\n",
                   class, lane->tid, t->name, lane->pid);
            continue;
        }
        markup(out, "<div class=\"%s\"><b>%d %.15s</b><span>", class, lane->tid, t->name);
        if (!lane->thread)
            markup(out, t->parent_tid ? "process, made by %d" : "the first process", t->parent_tid);
        else if (*t->start_routine)
            markup(out, "thread, runs %.63s", t->start_routine);
        else
            markup(out, "thread of process %d", lane->pid);
        fputs("</span></div>\n", out);
    }
    fputs("</div>\n", out);
}

static const char legend[] =
    "<ul class=\"legend\">"
    "<li><svg viewBox=\"0 0 26 20\"><rect class=\"ran\" x=\"0\" y=\"5\" width=\"26\" "
    "height=\"10\"/></svg>runs</li>"
    "<li><svg viewBox=\"0 0 26 20\"><path class=\"ready\" d=\"M0 10H26\"/></svg>could run, others do</li>"
    "<li><svg viewBox=\"0 0 26 20\"><path class=\"waits\" d=\"M0 10H26\"/></svg>waits in a system call</li>"
    "<li><svg viewBox=\"0 0 26 20\"><rect class=\"held\" x=\"1\" y=\"1\" width=\"24\" height=\"18\" "
    "rx=\"3\"/></svg>"
    "● holds a lock</li>"
    "<li><svg viewBox=\"0 0 26 20\"><rect class=\"heldghost\" x=\"1\" y=\"1\" width=\"24\" height=\"18\" "
    "rx=\"3\"/></svg>† held by a thread that does not exist there</li>"
    "<li><svg viewBox=\"0 0 26 20\"><rect class=\"wait4ever\" x=\"1\" y=\"1\" width=\"24\" height=\"18\" "
    "rx=\"3\"/></svg>✗ waits for ever</li>"
    "<li><svg viewBox=\"0 0 26 20\"><path class=\"forkmark\" d=\"M13 3l7 7l-7 7l-7 -7z\"/></svg>fork</li>"
    "</ul>\n";

void export_picture(FILE *out, const struct tui_model *m) {
    struct plot *p = calloc(1, sizeof *p);
    rf_assert(p);
    *p = (struct plot){.out = out, .m = m, .last = m->source->last(m->source->context)};
    choose_lanes(p);
    if (!p->lane_count || !p->last) {
        free(p);
        return;
    }
    place_marks(p);
    int height = (int)p->lane_count * ROW + AXIS;
    fputs("<div class=\"lanes\">\n", out);
    draw_names(p);
    markup(out,
           "<svg class=\"plot\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
           "xmlns=\"http://www.w3.org/2000/svg\"><title>What each task did, from event 1 to %llu</title>\n"
           "<defs><pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
           "patternTransform=\"rotate(45)\"><rect class=\"hatchbg\" width=\"7\" height=\"7\"/>"
           "<path class=\"hatchline\" d=\"M0 0V7\"/></pattern></defs>\n",
           WIDTH, height, WIDTH, height, (unsigned long long)p->last);
    for (size_t i = 0; i < p->lane_count; i++)
        if (i % 2)
            markup(out, "<rect class=\"row\" y=\"%d\" width=\"%d\" height=\"%d\"/>", (int)i * ROW, WIDTH,
                   ROW);
    draw_guides(p);
    for (size_t i = 0; i < p->lane_count; i++) {
        double y = (double)i * ROW;
        p->lane_labels = p->label_count;
        if (!p->lanes[i]->ghost) draw_states(p, y, p->lanes[i]);
        draw_stuck(p, y, p->lanes[i]);
        draw_crash(p, y, p->lanes[i]);
        draw_spans(p, y, p->lanes[i]);
        fputc('\n', out);
    }
    for (size_t i = 0; i < p->lane_count; i++)
        draw_birth(p, i);
    draw_all_wants(p);
    draw_labels(p);
    draw_axis(p);
    fputs("</svg></div>\n", out);
    fputs(legend, out);
    markup(out,
           "<p class=\"note\">Time runs from left to right, counted in events; the scale is stretched around "
           "the evidence (%llu events in all).",
           (unsigned long long)p->last);
    if (p->lane_count < m->lane_count)
        markup(out, " %zu of %zu tasks are shown: those of the findings first.", p->lane_count,
               m->lane_count);
    fputs("</p>\n", out);
    free(p);
}

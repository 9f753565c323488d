#include "tui/pair/pair.h"

#include "core/error.h"
#include "tui/focus.h"
#include "tui/lanes.h"
#include "tui/layout.h"
#include "tui/model.h"
#include "tui/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const letters[2] = {"A", "B"};

static void place(struct tui_model *m, const struct tui_focus *to) {
    tui_model_focus(m, to->event, to->tid);
    m->moved = true; // the verdict does not take it away
    tui_lanes_follow(m);
    tui_layout_compute(m);
}

// ---- in step

void tui_pair_follow(struct tui_pair_view *v, const struct tui_focus *before) {
    const struct tui_focus *now = &v->models[v->active]->focus;
    if (now->event == before->event && now->tid == before->tid) return;
    struct tui_focus to;
    v->followed = v->pair->match(v->pair->context, v->active, now, &to);
    if (v->followed != TUI_PAIR_NONE) place(v->models[!v->active], &to);
}

static void to_side(struct tui_pair_view *v, int side) {
    v->active = side;
    for (int i = 0; i < 2; i++)
        v->models[i]->aside = i != side;
}

static void show_difference(struct tui_pair_view *v, size_t at) {
    v->at = at;
    v->followed = TUI_PAIR_SAME;
    const struct tui_difference *d = &v->pair->differences[at];
    for (int i = 0; i < 2; i++) {
        struct tui_model *m = v->models[i];
        m->back = m->focus;
        uint64_t last = m->source->last(m->source->context);
        place(m, &(struct tui_focus){d->event[i] ? d->event[i] : last, d->event[i] ? d->tid[i] : 0, 0});
    }
}

// Where difference i is in the active recording; of two at one event the first in the list comes first.
struct spot {
    uint64_t event;
    size_t index;
};

static struct spot spot_of(const struct tui_pair_view *v, size_t i) {
    const struct tui_model *m = v->models[v->active];
    uint64_t event = v->pair->differences[i].event[v->active];
    return (struct spot){event ? event : m->source->last(m->source->context), i};
}

// Does `a` come first on the way in this direction?
static bool comes_first(int direction, struct spot a, struct spot b) {
    if (a.event != b.event) return direction > 0 ? a.event < b.event : a.event > b.event;
    return direction > 0 ? a.index < b.index : a.index > b.index;
}

// The next one behind the focus, or before it; behind the last one the first again.
static void to_difference(struct tui_pair_view *v, int direction) {
    size_t count = v->pair->count, next = count, first = 0;
    struct tui_model *active = v->models[v->active];
    if (!count) {
        tui_model_message(active, false, "the recordings are the same: nothing differs but what clocks say");
        return;
    }
    // Of those at the focus's event the ones behind the shown one are still to come; when none is shown all are passed.
    struct spot here = {active->focus.event, direction > 0 ? count : 0};
    if (v->at < count && spot_of(v, v->at).event == here.event) here.index = v->at;
    for (size_t i = 0; i < count; i++) {
        struct spot s = spot_of(v, i);
        if (comes_first(direction, s, spot_of(v, first))) first = i;
        if (comes_first(direction, here, s) && (next == count || comes_first(direction, s, spot_of(v, next))))
            next = i;
    }
    show_difference(v, next < count ? next : first);
}

// ---- life

void tui_pair_begin(struct tui_pair_view *v, const struct tui_pair *pair, struct tui_model *a,
                    struct tui_model *b, bool ascii) {
    *v = (struct tui_pair_view){.pair = pair, .models = {a, b}, .at = pair->count, .followed = TUI_PAIR_SAME};
    for (int i = 0; i < 2; i++) {
        struct tui_model *m = v->models[i];
        v->screens[i].ascii = ascii;
        v->events[i] = calloc(pair->count + 1, sizeof *v->events[i]);
        rf_assert(v->events[i]);
        for (size_t d = 0; d < pair->count; d++)
            v->events[i][d] = pair->differences[d].event[i];
        m->side = letters[i];
        m->aside = i != v->active;
        m->differences = v->events[i];
        m->difference_count = pair->count;
    }
    if (a->moved) // begun at an event: the other follows
        tui_pair_follow(v, &(struct tui_focus){0});
    else if (pair->count)
        show_difference(v, 0);
}

void tui_pair_release(struct tui_pair_view *v) {
    for (int i = 0; i < 2; i++) {
        free(v->events[i]);
        if (v->screens[i].cells) tui_screen_release(&v->screens[i]);
    }
}

void tui_pair_resize(struct tui_pair_view *v, int cols, int rows) {
    v->beside = cols >= TUI_PAIR_BESIDE;
    v->cols[0] = v->beside ? (cols - 1) / 2 : cols;
    v->cols[1] = v->beside ? cols - 1 - v->cols[0] : cols;
    for (int i = 0; i < 2; i++) {
        struct tui_model *m = v->models[i];
        if (v->screens[i].cols == v->cols[i] && v->screens[i].rows == rows - 1 && v->screens[i].cells)
            continue;
        tui_screen_resize(&v->screens[i], v->cols[i], rows - 1);
        tui_model_resize(m, v->cols[i], rows - 1);
    }
}

// ---- keys

bool tui_pair_request(struct tui_pair_view *v) {
    struct tui_model *m = v->models[v->active];
    enum tui_request request = m->request;
    if (request != TUI_REQUEST_SIDE && request != TUI_REQUEST_DIFFERENCE_NEXT &&
        request != TUI_REQUEST_DIFFERENCE_PREVIOUS)
        return false;
    m->request = TUI_REQUEST_NONE;
    if (request == TUI_REQUEST_SIDE)
        to_side(v, !v->active);
    else
        to_difference(v, request == TUI_REQUEST_DIFFERENCE_NEXT ? 1 : -1);
    return true;
}

bool tui_pair_point(struct tui_pair_view *v, int y, int *x) {
    if (y >= v->screens[v->active].rows) return false;
    if (!v->beside) return true;
    int side = *x > v->cols[0];
    if (*x == v->cols[0]) return false;
    if (side != v->active) to_side(v, side);
    if (side) *x -= v->cols[0] + 1;
    return true;
}

// ---- on the screen

static void copy(const struct tui_screen *from, struct tui_screen *to, int x) {
    for (int y = 0; y < from->rows && y < to->rows; y++)
        for (int c = 0; c < from->cols && x + c < to->cols; c++)
            to->cells[y * to->cols + x + c] = from->cells[y * from->cols + c];
}

// What is said of the two below both: the difference that is shown, and where the other one is when it cannot be seen.
static void draw_bar(const struct tui_pair_view *v, const struct tui_area *a) {
    const struct tui_model *other = v->models[!v->active];
    const struct tui_pair *pair = v->pair;
    char text[TUI_LINE];
    int len = 0;
    if (!pair->count)
        len = snprintf(text, sizeof text, "The same in both");
    else if (v->at < pair->count)
        len = snprintf(text, sizeof text, "Difference %zu of %zu: %s", v->at + 1, pair->count,
                       pair->differences[v->at].text);
    else
        len = snprintf(text, sizeof text, "%zu difference%s: d goes there", pair->count,
                       pair->count == 1 ? "" : "s");
    if (v->followed == TUI_PAIR_NONE)
        snprintf(text + len, sizeof text - (size_t)len, "; %s has no such task", other->side);
    else if (v->followed == TUI_PAIR_LAST)
        snprintf(text + len, sizeof text - (size_t)len, "; %s: the task's last step", other->side);
    tui_fill(a, 0, 0, a->w, TUI_ROLE_PANE, L' ');
    char hint[64];
    snprintf(hint, sizeof hint, "Tab %s  d D", v->beside ? "other side" : other->side);
    int width = (int)strlen(hint);
    if (pair->count) tui_cell_glyph(a, 0, 0, TUI_ROLE_STUCK, TUI_GLYPH_DIFFERS);
    tui_text(a, 0, 2, a->w - width - 5, TUI_ROLE_HERE, text);
    tui_text(a, 0, a->w - width - 1, width, TUI_ROLE_PANE_ACTIVE, hint);
}

void tui_pair_draw(struct tui_pair_view *v, struct tui_screen *s) {
    struct tui_area bar = {s, s->rows - 1, 0, 1, s->cols};
    tui_screen_clear(s);
    for (int i = 0; i < 2; i++) {
        if (!v->beside && i != v->active) continue;
        tui_view_draw(v->models[i], &v->screens[i]);
        copy(&v->screens[i], s, v->beside && i ? v->cols[0] + 1 : 0);
    }
    if (v->beside) {
        struct tui_area between = {s, 0, v->cols[0], s->rows - 1, 1};
        for (int y = 0; y < between.h; y++)
            tui_cell_glyph(&between, y, 0, TUI_ROLE_PANE, TUI_GLYPH_VLINE);
    }
    if (s->rows > 1 && !v->models[v->active]->layout.too_small) draw_bar(v, &bar);
}

#include "tui/learn/tour_view.h"

#include "tui/scroll.h"

#include <stdio.h>
#include <string.h>

enum { MIN_COLS = 40, MIN_ROWS = 10, MOST_TEXT = 100 };

static enum tui_role role_of(enum learn_sort sort) {
    static const enum tui_role roles[] = {
        [LEARN_PLAIN] = TUI_ROLE_NORMAL, [LEARN_POINT] = TUI_ROLE_NORMAL, [LEARN_VERBATIM] = TUI_ROLE_FORK,
        [LEARN_RIGHT] = TUI_ROLE_GOOD,   [LEARN_WRONG] = TUI_ROLE_STUCK,  [LEARN_ADDED] = TUI_ROLE_GOOD,
        [LEARN_REMOVED] = TUI_ROLE_STUCK};
    return roles[sort];
}

// What stands in front of a row, beside its colour.
static const struct tui_area *mark(const struct tui_area *a, int y, const struct tour_row *row) {
    if (row->first && row->sort == LEARN_WRONG) tui_cell_glyph(a, y, 0, TUI_ROLE_STUCK, TUI_GLYPH_STUCK);
    if (row->first && row->sort == LEARN_RIGHT) tui_cell_glyph(a, y, 0, TUI_ROLE_GOOD, TUI_GLYPH_OK);
    return a;
}

static void draw_rows(struct tour *t, const struct tui_area *a) {
    size_t shown = t->row_count - t->top;
    if (shown > (size_t)a->h) shown = (size_t)a->h;
    int down =
        t->view.few_words && shown < (size_t)a->h ? (a->h - (int)shown) / 3 : 0; // a lecture: not at the top
    for (size_t i = 0; i < shown; i++) {
        const struct tour_row *row = &t->rows[t->top + i];
        char text[TUI_LINE];
        snprintf(text, sizeof text, "%.*s", row->len, row->text);
        tui_text(mark(a, down + (int)i, row), down + (int)i, 2 + row->indent, a->w - 2 - row->indent,
                 role_of(row->sort), text);
    }
}

static void draw_list(struct tour *t, const struct tui_area *a) {
    size_t top = t->lesson >= (size_t)a->h ? t->lesson - (size_t)a->h + 1 : 0;
    for (int y = 0; y < a->h && top + (size_t)y < t->lessons->count; y++) {
        const struct lesson *l = &t->lessons->v[top + (size_t)y];
        bool here = top + (size_t)y == t->lesson;
        if (here) tui_fill(a, y, 0, a->w, TUI_ROLE_FOCUS, L' ');
        if (here) tui_cell_glyph(a, y, 0, TUI_ROLE_FOCUS, TUI_GLYPH_POINTER);
        tui_textf(a, y, 2, a->w - 2, here ? TUI_ROLE_FOCUS : TUI_ROLE_NORMAL, "%2zu  %s", top + (size_t)y + 1,
                  l->title);
    }
}

static void draw_bar(const struct tour *t, const struct tui_area *a) {
    struct tour_hint hints[12];
    int x = 1;
    tui_fill(a, 0, 0, a->w, TUI_ROLE_BAR, L' ');
    if (t->busy || *t->message) {
        tui_text(a, 0, x, a->w - 2, TUI_ROLE_BAR,
                 t->busy ? "the program is compiled and recorded: a moment" : t->message);
        return;
    }
    tour_hints(t, hints);
    for (int i = 0; *hints[i].key; i++) {
        int width = (int)strlen(hints[i].key) + 1 + (int)strlen(hints[i].label);
        if (x + width >= a->w) continue;
        x = tui_text(a, 0, x, a->w - x, TUI_ROLE_KEY, hints[i].key);
        x = tui_textf(a, 0, x, a->w - x, TUI_ROLE_BAR, " %s", hints[i].label) + 2;
    }
}

static void draw_title(const struct tour *t, const struct tui_area *a) {
    char left[256], right[64] = "";
    tui_fill(a, 0, 0, a->w, TUI_ROLE_TITLE, L' ');
    if (t->in_lesson) {
        snprintf(left, sizeof left, "%zu of %zu: %s", t->lesson + 1, t->lessons->count,
                 tour_lesson(t)->title);
        int count, number = tour_part_number(t, &count);
        snprintf(right, sizeof right, "part %d of %d", number, count);
    } else {
        snprintf(left, sizeof left, "refork learn: what goes wrong at a fork");
        snprintf(right, sizeof right, "%zu lessons", t->lessons->count);
    }
    int room = a->w - 2 - (int)strlen(right) - 2;
    tui_text(a, 0, 1, room, TUI_ROLE_TITLE, left);
    tui_text(a, 0, a->w - 1 - (int)strlen(right), (int)strlen(right), TUI_ROLE_TITLE, right);
}

static void draw_heading(const struct tour *t, const struct tui_area *a) {
    tui_fill(a, 0, 0, a->w, TUI_ROLE_PANE, tui_glyph(a->screen, TUI_GLYPH_HLINE));
    if (!t->in_lesson) {
        tui_text(a, 0, 1, a->w - 2, TUI_ROLE_PANE_ACTIVE, " Lessons ");
    } else {
        bool more = t->row_count > t->top + (size_t)(t->height > 0 ? t->height : 0);
        tui_textf(a, 0, 1, a->w - 2, TUI_ROLE_PANE_ACTIVE, " %s%s ", t->page.title ? t->page.title : "",
                  more ? " (Space: more)" : "");
    }
}

void tour_draw(struct tour *t, struct tui_screen *s) {
    struct tui_area whole = {s, 0, 0, s->rows, s->cols};
    tui_screen_clear(s);
    if (s->cols < MIN_COLS || s->rows < MIN_ROWS) {
        tui_textf(&whole, 0, 0, s->cols, TUI_ROLE_STUCK, "too small: %dx%d", s->cols, s->rows);
        tui_textf(&whole, 1, 0, s->cols, TUI_ROLE_NORMAL, "needs %dx%d", MIN_COLS, MIN_ROWS);
        tui_text(&whole, 2, 0, s->cols, TUI_ROLE_NORMAL, "q quits");
        return;
    }
    struct tui_area title = {s, 0, 0, 1, s->cols}, heading = {s, 1, 0, 1, s->cols},
                    bar = {s, s->rows - 1, 0, 1, s->cols};
    // Long lines are hard to read: text stops at 100 columns. A lecture has wide margins.
    int margin = t->view.few_words && t->in_lesson ? s->cols / 10 : 1;
    int width = s->cols - 2 * margin;
    struct tui_area body = {s, 3, margin, s->rows - 5, width};
    tour_resize(t, (width < MOST_TEXT ? width : MOST_TEXT) - 2, body.h);
    draw_title(t, &title);
    draw_heading(t, &heading);
    if (t->in_lesson)
        draw_rows(t, &body);
    else
        draw_list(t, &body);
    draw_bar(t, &bar);
}

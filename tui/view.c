// The frame: title bar, headings, panes, status bar.
#include "tui/view.h"

#include "tui/find.h"
#include "tui/focus.h"
#include "tui/lane_rows.h"
#include "tui/layout.h"
#include "tui/lanes.h"
#include "tui/keys.h"
#include "tui/model.h"
#include "tui/moment.h"
#include "tui/screen.h"
#include "tui/view_lanes.h"
#include "tui/view_palette.h"
#include "tui/view_panes.h"
#include "tui/view_story.h"
#include "tui/view_variables.h"
#include "tui/view_waits.h"
#include "core/path.h"

#include <stdio.h>
#include <string.h>

typedef void (*view_function)(struct tui_model *m, const struct tui_area *a);
static const view_function views[TUI_PANES] = {
    [TUI_STORY] = tui_view_story,     [TUI_LANES] = tui_view_lanes,         [TUI_EVENTS] = tui_view_events,
    [TUI_LOCKS] = tui_view_locks,     [TUI_STACK] = tui_view_stack,         [TUI_WAITS] = tui_view_waits,
    [TUI_HISTORY] = tui_view_history, [TUI_VARIABLES] = tui_view_variables,
};

static void heading_text(const struct tui_model *m, enum tui_pane pane, int w, char *out, size_t size) {
    char label[96];
    size_t held[256];
    tui_task_label(m, m->focus.tid, label, sizeof label);
    unsigned long long event = m->focus.event;
    switch (pane) {
    case TUI_STORY:
        if (m->verdict && m->verdict->count > 1) {
            snprintf(out, size, "1 Story, finding %zu of %zu", m->finding + 1, m->verdict->count);
        } else {
            snprintf(out, size, "1 Story");
        }
        break;
    case TUI_LANES:
        tui_lanes_hidden_text(m, label, sizeof label);
        if (*label && w < 70)
            snprintf(out, size, "2 Lanes, +%zu others (%s)", tui_lanes_hidden(m),
                     *m->lane_filter ? "Esc" : "z");
        else
            snprintf(out, size, "2 Lanes, %zu task%s%s%s", m->task_count, m->task_count == 1 ? "" : "s",
                     *label ? ": " : "", label);
        break;
    case TUI_EVENTS:
        if (m->matches && *m->filter)
            snprintf(out, size, "3 Events with '%s' (%zu)", m->filter, m->match_count);
        else if (m->matches)
            snprintf(out, size, "3 Events of '%s' (%zu)", m->lane_filter, m->match_count);
        else
            snprintf(out, size, "3 Events");
        break;
    case TUI_LOCKS:
        snprintf(out, size, "4 Locks held at event %llu: %zu", event, tui_held(m, held, 256));
        break;
    case TUI_STACK:
        if (w < 60)
            snprintf(out, size, "5 Stack of %d", m->focus.tid);
        else
            snprintf(out, size, "5 Stack of %s at event %llu", label, event);
        break;
    case TUI_WAITS:
        snprintf(out, size, "6 Waits: who waits for whom");
        break;
    case TUI_HISTORY:
        if (m->lock_story)
            snprintf(out, size, "7 History of %s in %d", m->lock_story->name, m->lock_pid);
        else
            snprintf(out, size, "7 History of a lock");
        break;
    case TUI_VARIABLES:
        if (*m->watch.name && m->focus.frame < m->frame_count && m->frames[m->focus.frame].function)
            snprintf(out, size, "8 Variables of %.60s, %s watched", m->frames[m->focus.frame].function,
                     m->watch.name);
        else if (m->focus.frame < m->frame_count && m->frames[m->focus.frame].function)
            snprintf(out, size, "8 Variables of %s", m->frames[m->focus.frame].function);
        else
            snprintf(out, size, "8 Variables");
        break;
    case TUI_PANES:
        break;
    }
}

static void draw_slot(struct tui_model *m, struct tui_screen *s, const struct tui_slot *slot) {
    struct tui_area whole = {s, slot->y, slot->x, slot->h, slot->w};
    struct tui_area inner = {s, slot->y + 1, slot->x, slot->h - 1, slot->w};
    bool active = slot->shown == m->pane && !m->aside;
    enum tui_role role = active ? TUI_ROLE_PANE_ACTIVE : TUI_ROLE_PANE;
    char text[360];
    tui_fill(&whole, 0, 0, slot->w, TUI_ROLE_PANE, tui_glyph(s, TUI_GLYPH_HLINE));
    heading_text(m, slot->shown, slot->w, text, sizeof text);
    int x = 1;
    tui_cell_put(&whole, 0, x++, role, L' ');
    if (active) tui_cell_glyph(&whole, 0, x++, role, TUI_GLYPH_POINTER);
    char others[120]; // the panes behind this one, at the right
    tui_slot_others(m, slot, others, sizeof others);
    int room = slot->w - x - 2 - (*others ? (int)strlen(others) + 2 : 0);
    x = tui_text(&whole, 0, x, room, role, text);
    tui_cell_put(&whole, 0, x, role, L' ');
    if (*others) {
        int at = TUI_OTHERS_AT(slot, others);
        at = tui_text(&whole, 0, at, slot->w, TUI_ROLE_PANE, others);
        tui_cell_put(&whole, 0, at, TUI_ROLE_PANE, L' ');
    }
    if (slot->x > 0) {
        struct tui_area left = {s, slot->y, slot->x - 1, slot->h, 1};
        for (int y = 0; y < slot->h; y++)
            tui_cell_glyph(&left, y, 0, TUI_ROLE_PANE, TUI_GLYPH_VLINE);
    }
    views[slot->shown](m, &inner);
}

static void draw_title(const struct tui_model *m, const struct tui_area *a) {
    struct tui_event e = {0};
    char left[300], right[200] = "";
    bool known = m->focus.event && m->source->event(m->source->context, m->focus.event, &e);
    unsigned long long last = m->source->last(m->source->context);
    enum tui_role role = m->aside ? TUI_ROLE_PANE : TUI_ROLE_TITLE;
    tui_fill(a, 0, 0, a->w, role, L' ');
    snprintf(left, sizeof left, "%s %s", m->side ? m->side : "refork", base_name(m->source->title));
    if (m->loading) {
        unsigned long long loaded = m->source->loaded(m->source->context);
        snprintf(right, sizeof right, "reading %llu%%  event %llu of %llu", last ? loaded * 100 / last : 100,
                 (unsigned long long)m->focus.event, last);
    } else if (known) {
        char at[32];
        tui_moment_text(e.time_us, at, sizeof at);
        snprintf(right, sizeof right, "event %llu of %llu  %s", (unsigned long long)m->focus.event, last, at);
    } else {
        snprintf(right, sizeof right, "event %llu of %llu", (unsigned long long)m->focus.event, last);
    }
    int width = (int)strlen(right);
    if (m->side && !m->aside) tui_cell_glyph(a, 0, 0, role, TUI_GLYPH_POINTER);
    tui_text(a, 0, 1, a->w - width - 4, role, left);
    tui_text(a, 0, a->w - width - 1, width, role, right);
}

static void draw_hints(const struct tui_model *m, const struct tui_area *a) {
    int x = 1;
    if (m->searching) x = tui_textf(a, 0, x, a->w / 3, TUI_ROLE_BAR, "/%s  ", m->search);
    if (*m->filter) x = tui_textf(a, 0, x, a->w / 3, TUI_ROLE_BAR, "F %s  ", m->filter);
    if (*m->lane_filter) x = tui_textf(a, 0, x, a->w / 3, TUI_ROLE_BAR, "T %s  ", m->lane_filter);
    // Help and quit are always there; the others as far as they fit.
    const int reserve = (int)strlen("? help  q quit");
    for (size_t i = 0; i < tui_action_row_count; i++) {
        const struct tui_action_row *row = &tui_action_rows[i];
        bool always = row->action == TUI_ACTION_HELP || row->action == TUI_ACTION_QUIT;
        bool hidden = row->searching ? !m->searching
                                     : m->searching && (row->action == TUI_ACTION_NEXT ||
                                                        row->action == TUI_ACTION_PREVIOUS);
        if (!*row->label || hidden) continue;
        int keys = (int)strcspn(row->keys, " "), width = keys + 1 + (int)strlen(row->label);
        if (!always && x + width + 2 + reserve > a->w - 1) continue;
        x = tui_textf(a, 0, x, keys, TUI_ROLE_KEY, "%.*s", keys, row->keys);
        x = tui_textf(a, 0, x, a->w - x, TUI_ROLE_BAR, " %s", row->label) + 2;
    }
}

static void draw_notice(const struct tui_model *m, const struct tui_area *a) {
    if (m->pending) {
        tui_text(a, 0, 1, a->w - 2, TUI_ROLE_BAR,
                 m->pending == 'm'   ? "mark this place with a letter: a to z"
                 : m->pending == '"' ? "note at the mark: a to z"
                                     : "go to mark: a to z, or ' for the last place");
    } else if (*m->message) {
        if (m->message_bad) tui_cell_put(a, 0, 1, TUI_ROLE_KEY, L'!');
        tui_text(a, 0, m->message_bad ? 3 : 1, a->w - 4, TUI_ROLE_BAR, m->message);
    } else {
        tui_text(a, 0, 1, a->w - 2, TUI_ROLE_BAR, "j k scroll  ? close  q quit");
    }
}

static void draw_bar(const struct tui_model *m, const struct tui_area *a) {
    static const char *const prompts[] = {"",
                                          ":",
                                          "/",
                                          "filter (!text: without): ",
                                          "tasks with (!text: without): ",
                                          "note: ",
                                          "variable, or 0xADDRESS[,BYTES]: "};
    tui_fill(a, 0, 0, a->w, TUI_ROLE_BAR, L' ');
    if (m->prompt) {
        int x = tui_text(a, 0, 1, a->w, TUI_ROLE_KEY, prompts[m->prompt]);
        x = tui_text(a, 0, x, a->w - x - 1, TUI_ROLE_BAR, m->prompt_text);
        tui_cell_put(a, 0, x, TUI_ROLE_BAR, L'_');
    } else if (m->busy) {
        unsigned long long percent = m->busy_total ? m->busy_done * 100 / m->busy_total : 0;
        tui_textf(a, 0, 1, a->w - 2, TUI_ROLE_BAR, "%s: %llu of %llu (%llu%%)  ^C stops", m->busy_what,
                  (unsigned long long)m->busy_done, (unsigned long long)m->busy_total, percent);
    } else if (m->pending || *m->message || m->help) {
        draw_notice(m, a);
    } else if (m->job.kind && m->job.total) {
        unsigned long long done = m->job.done, total = m->job.total;
        tui_textf(a, 0, 1, a->w - 2, TUI_ROLE_BAR, "re-executing: %llu of %llu (%llu%%)  ^C stops", done,
                  total, done * 100 / total);
    } else {
        draw_hints(m, a);
    }
}

static void draw_too_small(const struct tui_model *m, struct tui_screen *s) {
    struct tui_area a = {s, 0, 0, s->rows, s->cols};
    tui_textf(&a, 0, 0, s->cols, TUI_ROLE_STUCK, "too small: %dx%d", m->cols, m->rows);
    tui_textf(&a, 1, 0, s->cols, TUI_ROLE_NORMAL, "needs %dx%d", TUI_MIN_COLS, TUI_MIN_ROWS);
    tui_text(&a, 2, 0, s->cols, TUI_ROLE_NORMAL, "q quits");
}

void tui_view_help(struct tui_model *m, const struct tui_area *a) {
    size_t rows = a->h > 0 ? (size_t)a->h : 0;
    for (size_t i = 0; i < rows && m->help_top + i < tui_action_row_count; i++) {
        const struct tui_action_row *row = &tui_action_rows[m->help_top + i];
        if (row->action == TUI_ACTION_NONE) {
            tui_text(a, (int)i, 1, a->w - 1, TUI_ROLE_PANE_ACTIVE, row->help);
        } else {
            tui_text(a, (int)i, 3, 9, TUI_ROLE_LOCK, row->keys);
            tui_text(a, (int)i, 13, a->w - 13, TUI_ROLE_NORMAL, row->help);
        }
    }
}

void tui_view_draw(struct tui_model *m, struct tui_screen *s) {
    tui_screen_clear(s);
    if (m->layout.too_small) {
        draw_too_small(m, s);
        return;
    }
    struct tui_area title = {s, 0, 0, 1, s->cols}, bar = {s, s->rows - 1, 0, 1, s->cols};
    draw_title(m, &title);
    if (m->help) {
        struct tui_area heading = {s, 1, 0, 1, s->cols}, inner = {s, 2, 0, s->rows - 3, s->cols};
        tui_fill(&heading, 0, 0, s->cols, TUI_ROLE_PANE, tui_glyph(s, TUI_GLYPH_HLINE));
        bool more = m->help_top + (size_t)(s->rows - 3) < tui_action_row_count;
        tui_text(&heading, 0, 1, s->cols - 2, TUI_ROLE_PANE_ACTIVE,
                 more ? " Keys (j: more) " : " Keys (the end) ");
        tui_view_help(m, &inner);
    } else {
        for (int i = 0; i < m->layout.count; i++)
            draw_slot(m, s, &m->layout.slots[i]);
    }
    tui_view_palette(m, s);
    draw_bar(m, &bar);
}

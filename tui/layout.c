// The one function that says which pane is where.
#include "tui/layout.h"

#include "tui/lane_rows.h"
#include "tui/story.h"

#include <stdio.h>
#include <string.h>

enum { TITLE_ROWS = 1, BAR_ROWS = 1 };

static int clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

static void add(struct tui_layout *l, int y, int x, int h, int w, unsigned panes) {
    l->slots[l->count++] = (struct tui_slot){.y = y, .x = x, .h = h, .w = w, .panes = panes};
}

#define BIT(pane) (1u << (pane))

#define BEHIND                                                                                               \
    (BIT(TUI_LOCKS) | BIT(TUI_WAITS) | BIT(TUI_HISTORY) |                                                    \
     BIT(TUI_VARIABLES)) // panes that stand behind another one

// Rows of the story at this width, with its heading.
static int story_rows(const struct tui_model *m, int w) {
    int rows = 1;
    for (size_t i = 0; i < m->story.count && rows < 100; i++) {
        rows += tui_story_rows(&m->story.lines[i], TUI_STORY_WIDTH(w, m->story.lines[i].sort), NULL);
    }
    return rows;
}

static void place(const struct tui_model *m, struct tui_layout *l) {
    int h = m->rows - TITLE_ROWS - BAR_ROWS, w = m->cols, y = TITLE_ROWS;
    size_t shown = tui_lane_rows(m) + (tui_lanes_hidden(m) > 0);
    int lanes = (int)(shown > 1000 ? 1000 : shown) + 2; // heading and axis
    if (m->maximised) {
        add(l, y, 0, h, w, BIT(m->pane));
        return;
    }
    if (w >= 120 && h >= 28) { // everything
        int story = clamp(story_rows(m, w * 3 / 5), 6, 14), lane = clamp(lanes, 6, h / 3), left = w * 3 / 5,
            half = w / 2;
        add(l, y, 0, story, left, BIT(TUI_STORY));
        add(l, y, left + 1, story, w - left - 1, BIT(TUI_LOCKS) | BIT(TUI_WAITS) | BIT(TUI_HISTORY));
        add(l, y + story, 0, lane, w, BIT(TUI_LANES));
        y += story + lane;
        if (w >= 180) {
            int third = w / 3;
            add(l, y, 0, h - story - lane, third, BIT(TUI_EVENTS));
            add(l, y, third + 1, h - story - lane, third - 1, BIT(TUI_STACK));
            add(l, y, 2 * third + 1, h - story - lane, w - 2 * third - 1, BIT(TUI_VARIABLES));
            return;
        }
        add(l, y, 0, h - story - lane, half, BIT(TUI_EVENTS));
        add(l, y, half + 1, h - story - lane, w - half - 1, BIT(TUI_STACK) | BIT(TUI_VARIABLES));
        return;
    }
    if (w >= 76 && h >= 18) {
        int story = clamp(story_rows(m, w), 4, h * 5 / 12), lane = clamp(lanes, 5, h / 3), left = w / 2 - 1;
        add(l, y, 0, story, w, BIT(TUI_STORY));
        add(l, y + story, 0, lane, w, BIT(TUI_LANES));
        y += story + lane;
        add(l, y, 0, h - story - lane, left, BIT(TUI_EVENTS));
        add(l, y, left + 1, h - story - lane, w - left - 1, BIT(TUI_STACK) | BEHIND);
        return;
    }
    int story = clamp(story_rows(m, w), 4, h - clamp(lanes, 5, h / 2));
    add(l, y, 0, story, w, BIT(TUI_STORY));
    add(l, y + story, 0, h - story, w, BIT(TUI_LANES) | BIT(TUI_EVENTS) | BIT(TUI_STACK) | BEHIND);
}

void tui_layout_compute(struct tui_model *m) {
    struct tui_layout *l = &m->layout;
    *l = (struct tui_layout){.too_small = m->cols < TUI_MIN_COLS || m->rows < TUI_MIN_ROWS};
    if (l->too_small) return;
    place(m, l);
    // In the order in which a shared slot prefers its panes while none was used.
    static const enum tui_pane order[] = {TUI_STORY, TUI_LANES, TUI_STACK,   TUI_EVENTS,
                                          TUI_LOCKS, TUI_WAITS, TUI_HISTORY, TUI_VARIABLES};
    for (int i = 0; i < l->count; i++) {
        struct tui_slot *slot = &l->slots[i];
        long best = -1;
        for (size_t j = 0; j < sizeof order / sizeof *order; j++) {
            enum tui_pane pane = order[j];
            if (!(slot->panes & BIT(pane)) || (long)m->used[pane] <= best) continue;
            best = (long)m->used[pane];
            slot->shown = pane;
        }
    }
}

const struct tui_slot *tui_slot_of(const struct tui_model *m, enum tui_pane pane) {
    for (int i = 0; i < m->layout.count; i++) {
        if (m->layout.slots[i].shown == pane) return &m->layout.slots[i];
    }
    return NULL;
}

int tui_pane_height(const struct tui_model *m, enum tui_pane pane) {
    const struct tui_slot *slot = tui_slot_of(m, pane);
    int h = slot ? slot->h - 1 : 1;
    return h < 1 ? 1 : h;
}

const char *tui_pane_name(enum tui_pane pane) {
    static const char *const names[TUI_PANES] = {
        [TUI_STORY] = "Story",     [TUI_LANES] = "Lanes",        [TUI_EVENTS] = "Events",
        [TUI_LOCKS] = "Locks",     [TUI_STACK] = "Stack",        [TUI_WAITS] = "Waits",
        [TUI_HISTORY] = "History", [TUI_VARIABLES] = "Variables"};
    return names[pane];
}

void tui_slot_others(const struct tui_model *m, const struct tui_slot *slot, char *out, size_t size) {
    int heading =
        slot->shown == TUI_LANES ? 30 : 20; // room that its own text needs: "2 Lanes, +40 others (z)"
    for (int names = TUI_PANES; names >= 0; names--) {
        size_t len = 0;
        int named = 0;
        *out = 0;
        for (int pane = 0; pane < TUI_PANES && len < size; pane++) {
            if (m->maximised || pane == (int)slot->shown || !(slot->panes & BIT(pane))) continue;
            bool name = named++ < names;
            len += (size_t)snprintf(out + len, size - len, " %d%s%s", pane + 1, name ? " " : "",
                                    name ? tui_pane_name(pane) : "");
        }
        if ((int)len + heading <= slot->w) return;
    }
}

void tui_layout_pane(struct tui_model *m, enum tui_pane pane) {
    m->pane = pane;
    m->used[pane] = ++m->uses;
    tui_layout_compute(m);
}

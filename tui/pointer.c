#include "tui/pointer.h"

#include "tui/find.h"
#include "tui/focus.h"
#include "tui/lanes.h"
#include "tui/layout.h"
#include "tui/model.h"
#include "tui/view_lanes.h"
#include "tui/view_panes.h"
#include "tui/view_story.h"
#include "tui/view_variables.h"
#include "tui/view_waits.h"

#include <string.h>

static void click_events(struct tui_model *m, const struct tui_slot *slot, int row, int column) {
    (void)slot;
    (void)column;
    if (m->events_top + (uint64_t)row < tui_event_rows(m))
        tui_model_focus(m, tui_event_row(m, m->events_top + (uint64_t)row), 0);
}

static void click_locks(struct tui_model *m, const struct tui_slot *slot, int row, int column) {
    (void)slot;
    (void)column;
    size_t held[256], at = m->locks_top + (size_t)row;
    if (at >= tui_held(m, held, 256)) return;
    tui_model_focus(m, m->focus.event, m->verdict->spans[held[at]].tid);
    m->lock_line = at;
}

// Row and column from 0 inside the pane, below its heading.
typedef void (*click_function)(struct tui_model *m, const struct tui_slot *slot, int row, int column);
static const click_function clicks[TUI_PANES] = {
    [TUI_STORY] = tui_story_click,     [TUI_LANES] = tui_lanes_click,         [TUI_EVENTS] = click_events,
    [TUI_LOCKS] = click_locks,         [TUI_STACK] = tui_stack_click,         [TUI_WAITS] = tui_waits_click,
    [TUI_HISTORY] = tui_history_click, [TUI_VARIABLES] = tui_variables_click,
};

// The pane whose name stands at that column of the heading; the one that is shown when none does.
static enum tui_pane pane_in_heading(const struct tui_model *m, const struct tui_slot *slot, int column) {
    char others[120];
    tui_slot_others(m, slot, others, sizeof others);
    size_t at = (size_t)TUI_OTHERS_AT(slot, others), len = strlen(others);
    if (column < 0 || (size_t)column < at || (size_t)column >= at + len) return slot->shown;
    for (size_t i = (size_t)column - at + 1; i-- > 0;) // back to the digit
        if (others[i] > '0' && others[i] <= '0' + TUI_PANES) return (enum tui_pane)(others[i] - '1');
    return slot->shown;
}

static const struct tui_slot *slot_at(const struct tui_model *m, int y, int x) {
    if (m->layout.too_small || m->help || m->prompt) return NULL;
    for (int i = 0; i < m->layout.count; i++) {
        const struct tui_slot *slot = &m->layout.slots[i];
        if (y >= slot->y && y < slot->y + slot->h && x >= slot->x && x < slot->x + slot->w) return slot;
    }
    return NULL;
}

void tui_pointer_click(struct tui_model *m, int y, int x) {
    const struct tui_slot *found = slot_at(m, y, x);
    m->message[0] = 0;
    if (!found) return;
    const struct tui_slot slot = *found;
    if (y == slot.y) {
        tui_layout_pane(m, pane_in_heading(m, &slot, x - slot.x));
        return;
    }
    tui_layout_pane(m, slot.shown);
    m->moved = true;
    if (clicks[slot.shown]) clicks[slot.shown](m, &slot, y - slot.y - 1, x - slot.x);
    tui_lanes_follow(m);
    tui_layout_compute(m);
}

void tui_pointer_wheel(struct tui_model *m, int key, int y, int x) {
    const struct tui_slot *slot = slot_at(m, y, x);
    if (slot && slot->shown != m->pane) tui_layout_pane(m, slot->shown);
    tui_model_key(m, key);
}

// Which pane is where.
#ifndef REFORK_TUI_LAYOUT_H
#define REFORK_TUI_LAYOUT_H

#include "tui/state.h"

const struct tui_slot *tui_slot_of(const struct tui_model *m, enum tui_pane pane); // NULL: not on the screen
int tui_pane_height(const struct tui_model *m, enum tui_pane pane); // lines for content; at least 1
void tui_layout_compute(struct tui_model *m);
void tui_layout_pane(struct tui_model *m, enum tui_pane pane); // makes it the active one
const char *tui_pane_name(enum tui_pane pane);
// The panes behind the one that a slot shows, " 3 Events 4 Locks", with as many names as there is room for, " 3 Events 4"; their text begins in this column of the heading.
void tui_slot_others(const struct tui_model *m, const struct tui_slot *slot, char *out, size_t size);
#define TUI_OTHERS_AT(slot, others) ((slot)->w - (int)strlen(others) - 2)

#endif

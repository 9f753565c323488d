// Which pane is where.
#ifndef REFORK_TUI_LAYOUT_H
#define REFORK_TUI_LAYOUT_H

#include "tui/state.h"

const struct tui_slot *tui_slot_of(const struct tui_model *m, enum tui_pane pane); // NULL: not on the screen
int tui_pane_height(const struct tui_model *m, enum tui_pane pane); // lines for content; at least 1
void tui_layout_compute(struct tui_model *m);

#endif

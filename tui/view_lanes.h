// The lanes pane: its content in `a` (below its heading), and what a click in row y, column x of it means.
#ifndef REFORK_TUI_VIEW_LANES_H
#define REFORK_TUI_VIEW_LANES_H

#include "tui/screen.h"
#include "tui/state.h"

void tui_view_lanes(struct tui_model *m, const struct tui_area *a);
void tui_lanes_click(struct tui_model *m, const struct tui_slot *slot, int y, int x);

#endif

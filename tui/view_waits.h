// The pane of waits: its content in `a` (below its heading), and what a click in row y of it means.
#ifndef REFORK_TUI_VIEW_WAITS_H
#define REFORK_TUI_VIEW_WAITS_H

#include "tui/screen.h"
#include "tui/state.h"

void tui_view_waits(struct tui_model *m, const struct tui_area *a);
void tui_waits_click(struct tui_model *m, const struct tui_slot *slot, int y, int x);

#endif

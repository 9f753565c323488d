// The pane of variables: its content in `a` (below its heading), and what a click in row y of it means.
#ifndef REFORK_TUI_VIEW_VARIABLES_H
#define REFORK_TUI_VIEW_VARIABLES_H

#include "tui/screen.h"
#include "tui/state.h"

void tui_view_variables(struct tui_model *m, const struct tui_area *a);
void tui_variables_click(struct tui_model *m, const struct tui_slot *slot, int y, int x);

#endif

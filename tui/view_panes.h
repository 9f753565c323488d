// The smaller panes: each one's content in `a` (below its heading).
#ifndef REFORK_TUI_VIEW_PANES_H
#define REFORK_TUI_VIEW_PANES_H

#include "tui/screen.h"
#include "tui/state.h"

void tui_view_events(struct tui_model *m, const struct tui_area *a);
void tui_view_locks(struct tui_model *m, const struct tui_area *a);
void tui_view_history(struct tui_model *m, const struct tui_area *a);
void tui_history_click(struct tui_model *m, const struct tui_slot *slot, int y, int x);
void tui_view_stack(struct tui_model *m, const struct tui_area *a);
void tui_stack_click(struct tui_model *m, const struct tui_slot *slot, int y, int x); // a frame

#endif

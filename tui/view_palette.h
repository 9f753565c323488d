// The list of the command palette, over the panes, above the line where it is typed.
#ifndef REFORK_TUI_VIEW_PALETTE_H
#define REFORK_TUI_VIEW_PALETTE_H

#include "tui/screen.h"
#include "tui/state.h"

void tui_view_palette(struct tui_model *m, struct tui_screen *s);

#endif

// What a click or the wheel means where it happened on the screen that was drawn last.
#ifndef REFORK_TUI_POINTER_H
#define REFORK_TUI_POINTER_H

#include "tui/state.h"

void tui_pointer_click(struct tui_model *m, int y, int x);
// Moves in the pane that is there (`key`: TUI_KEY_WHEEL_UP or _DOWN).
void tui_pointer_wheel(struct tui_model *m, int key, int y, int x);

#endif

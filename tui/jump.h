// Keys that take the focus elsewhere.
#ifndef REFORK_TUI_JUMP_H
#define REFORK_TUI_JUMP_H

#include "tui/state.h"

bool tui_jump_action(struct tui_model *m, enum tui_action action);

#endif

// The model: what the TUI shows, and what each key changes. No curses, no drawing.
#ifndef REFORK_TUI_MODEL_H
#define REFORK_TUI_MODEL_H

#include "tui/state.h"

// Begins at event `start` (0: the end, then where the verdict is). The source must outlive the model.
void tui_model_init(struct tui_model *m, const struct tui_source *source, int cols, int rows, uint64_t start);
// Right after that: the verdict is not made until the user asks for it.
void tui_model_hide_verdict(struct tui_model *m);
void tui_model_release(struct tui_model *m);
void tui_model_resize(struct tui_model *m, int cols, int rows);
// One key. What it asks of the driver is in m->request afterwards (the driver clears it).
void tui_model_key(struct tui_model *m, int key);
void tui_model_action(struct tui_model *m, enum tui_action action);

#endif

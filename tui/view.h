// Views: draw a model on a screen. The only state they change is what is scrolled into sight.
#ifndef REFORK_TUI_VIEW_H
#define REFORK_TUI_VIEW_H

#include "tui/screen.h"
#include "tui/state.h"

// Draws everything; the screen must have the model's size.
void tui_view_draw(struct tui_model *m, struct tui_screen *s);
void tui_view_help(struct tui_model *m, const struct tui_area *a);

#endif

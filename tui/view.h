// Views: draw a model on a screen. The only state they change is what is scrolled into sight.
#ifndef REFORK_TUI_VIEW_H
#define REFORK_TUI_VIEW_H

#include "tui/model.h"
#include "tui/screen.h"

// Draws everything; the screen must have the model's size.
void tui_view_draw(struct tui_model *m, struct tui_screen *s);
// A click at row y, column x of what was drawn last.
void tui_view_click(struct tui_model *m, int y, int x);

// One pane's content in `a` (below its heading).
void tui_view_story(struct tui_model *m, const struct tui_area *a);
void tui_view_lanes(struct tui_model *m, const struct tui_area *a);
void tui_view_events(struct tui_model *m, const struct tui_area *a);
void tui_view_locks(struct tui_model *m, const struct tui_area *a);
void tui_view_stack(struct tui_model *m, const struct tui_area *a);
void tui_view_help(struct tui_model *m, const struct tui_area *a);

// What a click in row y, column x of a pane's content means.
void tui_story_click(struct tui_model *m, int w, int y);
void tui_lanes_click(struct tui_model *m, int w, int y, int x);

// Moves *top so that rows [from, to) are among the `h` rows shown of `count`.
void tui_scroll(size_t *top, size_t count, int h, size_t from, size_t to);

#endif

// The tour on a terminal, or on the screen of a script.
#ifndef REFORK_TUI_LEARN_TOUR_RUN_H
#define REFORK_TUI_LEARN_TOUR_RUN_H

#include "search/learn/page.h"
#include "tui/terminal/tui.h"

// Runs until the user quits (or the script ends): the list of lessons first, or with `alone` that one. 0, or -1 with *err as
// tui_run gives it.
int tour_run(const struct lessons *lessons, struct workshop *w, const struct learn_view *view,
             const struct lesson *alone, const struct tui_options *options, struct rf_error *err);

#endif

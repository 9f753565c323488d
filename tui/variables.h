// The variables of the focused frame, asked for while their pane is on the screen.
#ifndef REFORK_TUI_VARIABLES_H
#define REFORK_TUI_VARIABLES_H

#include "tui/state.h"

bool tui_variables_wanted(const struct tui_model *m);
bool tui_variables_fresh(const struct tui_model *m);     // is what is known about the focused frame?
bool tui_variables_of_script(const struct tui_model *m); // the stack has functions of a script
void tui_variables_take(struct tui_model *m, struct tui_job *job);
void tui_variables_release(struct tui_model *m);

#endif

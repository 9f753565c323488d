// Who waits for whom at the end of the recording, over all processes: the verdict's findings as a tree, a row for each task.
#ifndef REFORK_TUI_WAITS_H
#define REFORK_TUI_WAITS_H

#include "tui/state.h"

void tui_waits_build(struct tui_model *m);
void tui_waits_release(struct tui_model *m);
void tui_waits_enter(struct tui_model *m); // goes to the event of the row

#endif

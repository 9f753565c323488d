// What the variables pane shows of a recording: variables of a frame, static ones by name, and memory.
#ifndef REFORK_TUI_RECORDING_VALUES_H
#define REFORK_TUI_RECORDING_VALUES_H

#include "replayer/timeline.h"
#include "tui/source.h"

// As `variables` and `names` of tui/source.h.
int values_variables(struct timeline *t, const struct tui_variables_wish *wish, struct tui_variables **out,
                     struct rf_error *err);
int values_names(struct timeline *t, const struct tui_place *at, struct tui_names **out,
                 struct rf_error *err);

#endif

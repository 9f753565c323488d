// Which lanes are shown, and in what order: those of the verdict first, the others folded away.
#ifndef REFORK_TUI_LANE_ROWS_H
#define REFORK_TUI_LANE_ROWS_H

#include "tui/state.h"

// Puts the lanes in order and says how many stand in front. Processes stay together, ghosts behind the tasks of theirs.
void tui_lanes_order(struct tui_model *m);

// Rows of the lanes pane that show a lane: those in front, the focused one, and all others when nothing is folded.
size_t tui_lane_rows(const struct tui_model *m);
size_t tui_lane_at(const struct tui_model *m, size_t row); // index of the lane
size_t tui_lane_row_of_focus(const struct tui_model *m);
size_t tui_lanes_hidden(const struct tui_model *m);
// "+38 others, z unfolds"; "" when all are shown.
void tui_lanes_hidden_text(const struct tui_model *m, char *out, size_t size);
const char *tui_lane_sort_name(enum tui_lane_sort sort);
bool tui_lane_passes(const struct tui_model *m, size_t task); // the filter by task

size_t tui_lane_of_focus(const struct tui_model *m);

#endif

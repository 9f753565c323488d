// Searching, filtering, the rows of the events pane.
#ifndef REFORK_TUI_FIND_H
#define REFORK_TUI_FIND_H

#include "tui/state.h"

// Rows of the events pane: all events, or those that pass the filter.
uint64_t tui_event_rows(const struct tui_model *m);
uint64_t tui_event_row(const struct tui_model *m, uint64_t row); // the event in row (from 0)
uint64_t tui_event_row_of(const struct tui_model *m,
                          uint64_t event); // the row of the event or of the first after it
bool tui_find_action(struct tui_model *m, enum tui_action action);
void tui_find_key(struct tui_model *m, int key); // a key for the prompt

#endif

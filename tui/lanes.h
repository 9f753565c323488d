// The lanes: a row for each task, the window of events that they show, what is held.
#ifndef REFORK_TUI_LANES_H
#define REFORK_TUI_LANES_H

#include "tui/state.h"

// The spans held at the focus: indices into verdict->spans, at most `max`; returns their number.
size_t tui_held(const struct tui_model *m, size_t *out, size_t max);
// The lane's span that covers an event of [from, to], the latest; NULL.
const struct held_span *tui_lane_span(const struct tui_model *m, const struct tui_lane *lane, uint64_t from,
                                      uint64_t to);
// What the task of index `task` did in the events [from, to]; behind the last event only what waits goes on.
enum tui_lane_state tui_lane_state(const struct tui_model *m, size_t task, uint64_t from, uint64_t to);
// The finding that says that `tid` waits for ever, NULL; *event: since when.
const struct finding *tui_stuck(const struct tui_model *m, int tid, uint64_t *event);
void tui_lanes_build(struct tui_model *m);
void tui_lanes_release(struct tui_model *m);
void tui_lanes_fit(struct tui_model *m, bool whole);
bool tui_lanes_action(struct tui_model *m, enum tui_action action);
// Puts the lanes in order anew when that depends on the finding and another one is looked at.
void tui_lanes_follow(struct tui_model *m);
void tui_lanes_filter(struct tui_model *m, const char *text); // by task; "" shows all

#endif

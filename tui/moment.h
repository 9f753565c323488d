// Times of events: as text, and the way back.
#ifndef REFORK_TUI_MOMENT_H
#define REFORK_TUI_MOMENT_H

#include "tui/state.h"

// "18.125 ms"; from ten seconds on "12.345 s".
void tui_moment_text(uint64_t us, char *out, size_t size);
// "4.5ms", "2s", "300us", with '+' or '-' relative to `now_us`; false: it is no time.
bool tui_moment_parse(const char *text, uint64_t now_us, uint64_t *us);
uint64_t tui_moment_of(const struct tui_model *m, uint64_t event); // in us; 0 when it cannot be read
// The last event that happened by then (the first event when none had).
uint64_t tui_moment_event(const struct tui_model *m, uint64_t us);

#endif

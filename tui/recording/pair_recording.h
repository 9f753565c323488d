// Two recordings as a tui_pair: their differences as `refork diff` finds them.
#ifndef REFORK_TUI_RECORDING_PAIR_RECORDING_H
#define REFORK_TUI_RECORDING_PAIR_RECORDING_H

#include "core/error.h"
#include "tui/pair/pair.h"

struct pair_recording;

// Reads both, which takes time in proportion to their length. 0, or -1 with *err.
int pair_recording_new(const char *const paths[2], struct pair_recording **out, struct rf_error *err);
const struct tui_pair *pair_recording_get(const struct pair_recording *p);
void pair_recording_free(struct pair_recording *p);

#endif

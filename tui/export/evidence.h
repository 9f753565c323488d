// The events that a verdict rests on, and those around them.
#ifndef REFORK_TUI_EXPORT_EVIDENCE_H
#define REFORK_TUI_EXPORT_EVIDENCE_H

#include "tui/state.h"

// Calls `visit` in order for each event of evidence (the story's; at most `max`, 64) and the five before and after it,
// each event once; `evidence`: it is one itself.
typedef void (*evidence_visit)(void *context, const struct tui_model *m, uint64_t number, bool evidence);
void evidence_walk(const struct tui_model *m, size_t max, evidence_visit visit, void *context);

#endif

// The texts that filters and searches take.
#ifndef REFORK_TUI_MATCH_H
#define REFORK_TUI_MATCH_H

#include <stdbool.h>

// Is `pattern` in the text? Case does not matter while the pattern has no capital.
bool tui_contains(const char *text, const char *pattern);
// The same for a filter: "!pattern" passes what does not contain it.
bool tui_passes(const char *text, const char *filter);

#endif

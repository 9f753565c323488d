// The command palette: all actions by name with their keys, and the marks, filtered by what is typed behind ':'.
#ifndef REFORK_TUI_PALETTE_H
#define REFORK_TUI_PALETTE_H

#include "tui/state.h"

struct tui_palette_entry {
    enum tui_action action; // TUI_ACTION_NONE: a mark
    int mark;               // its index
    char name[32];
    const char *keys, *help;
};

// Is the list on the screen? Not while a number, a time or a command with an argument is typed.
bool tui_palette_shown(const struct tui_model *m);
// The entries that have all words of the text in name, keys or help: up to `max`, the number of all is returned.
size_t tui_palette(const struct tui_model *m, struct tui_palette_entry *out, size_t max);
#define TUI_PALETTE_MOST 160

#endif

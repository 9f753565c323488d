// Actions: what keys do, from tui/actions.def.
#ifndef REFORK_TUI_ACTIONS_H
#define REFORK_TUI_ACTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <stddef.h>

enum tui_action {
    TUI_ACTION_NONE,
#define ACTION(id, keys, when, label, help) TUI_ACTION_##id,
#include "tui/actions.def"
#undef ACTION
    TUI_ACTIONS
};

// A line of the help: a heading (action TUI_ACTION_NONE, keys "") or an action.
struct tui_action_row {
    enum tui_action action;
    const char *name;  // of the constant, TASK_NEXT
    const char *keys;  // names separated by blanks
    bool searching;    // only while searching
    const char *label; // for the status bar, "" when it is not shown there
    const char *help;
};

extern const struct tui_action_row tui_action_rows[];
extern const size_t tui_action_row_count;

// What `key` does; while searching, the searching actions come first. TUI_ACTION_NONE: nothing.
enum tui_action tui_action_of(int key, bool searching);

// The table of keys, as roff for refork.1 (`roff`) or as plain text.
void tui_print_keys(FILE *out, bool roff);

#endif

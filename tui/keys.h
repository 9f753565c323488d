// Keys as the model sees them: a character, a control character, or one of the names below.
#ifndef REFORK_TUI_KEYS_H
#define REFORK_TUI_KEYS_H

#include "core/error.h"

#include <stddef.h>

enum tui_key {
    TUI_KEY_NONE = 0,
    TUI_KEY_TAB = 9,
    TUI_KEY_ENTER = 13,
    TUI_KEY_ESC = 27,
    TUI_KEY_BACKSPACE = 127,
    TUI_KEY_UP = 0x110000, // above Unicode
    TUI_KEY_DOWN,
    TUI_KEY_LEFT,
    TUI_KEY_RIGHT,
    TUI_KEY_PAGE_UP,
    TUI_KEY_PAGE_DOWN,
    TUI_KEY_HOME,
    TUI_KEY_END,
    TUI_KEY_BACKTAB,
    TUI_KEY_RESIZE,
    TUI_KEY_CLICK, // with a position
    TUI_KEY_WHEEL_UP,
    TUI_KEY_WHEEL_DOWN,
};

#define TUI_CTRL(letter) ((letter)&31)

// The key named in the first `len` bytes of `name`: "n", "PgDn", "^L", "Enter", "lt"...; TUI_KEY_NONE when
// there is none.
int tui_key_named(const char *name, size_t len);

// Takes one key from a script: characters stand for themselves, <Name> for a named key, a newline for Enter.
// Advances *script. 1 and *key; 0 at the end; -1 for an unknown name.
int tui_key_script(const char **script, int *key, struct rf_error *err);

#endif

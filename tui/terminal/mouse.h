// The mouse, as terminals tell of it in the way called SGR (1006): numbers, so that no column is too far to the right.
#ifndef REFORK_TUI_TERMINAL_MOUSE_H
#define REFORK_TUI_TERMINAL_MOUSE_H

// Tell of presses and of the wheel; tell so no more.
#define TUI_MOUSE_ON   "\033[?1000h\033[?1006h"
#define TUI_MOUSE_OFF  "\033[?1006l\033[?1000l"
#define TUI_MOUSE_HEAD "\033[<" // what each report begins with

// What stands behind that, as "0;10;5M" (button, column, row from 1; M: pressed, m: released), as a key (enum tui_key):
// TUI_KEY_CLICK, TUI_KEY_WHEEL_UP or _DOWN, and its place from 0; TUI_KEY_NONE for anything else.
int tui_mouse_key(const char *report, int *y, int *x);

#endif

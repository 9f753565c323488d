#include "tui/terminal/mouse.h"

#include "tui/keys.h"

#include <stdio.h>

int tui_mouse_key(const char *report, int *y, int *x) {
    enum { SHIFT_META_CONTROL = 4 + 8 + 16, WHEEL = 64 };
    int button, column, row, end = 0;
    if (sscanf(report, "%4d;%5d;%5dM%n", &button, &column, &row, &end) != 3 || !end || report[end])
        return TUI_KEY_NONE;
    if (button < 0 || column < 1 || row < 1) return TUI_KEY_NONE;
    *y = row - 1;
    *x = column - 1;
    switch (button & ~SHIFT_META_CONTROL) {
    case 0:
        return TUI_KEY_CLICK;
    case WHEEL:
        return TUI_KEY_WHEEL_UP;
    case WHEEL + 1:
        return TUI_KEY_WHEEL_DOWN;
    default: // another button, or a movement
        return TUI_KEY_NONE;
    }
}

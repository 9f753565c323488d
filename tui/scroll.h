// Scrolling what is in the focus into sight.
#ifndef REFORK_TUI_SCROLL_H
#define REFORK_TUI_SCROLL_H

#include <stddef.h>

// Moves *top so that rows [from, to) are among the `h` rows shown of `count`.
void tui_scroll(size_t *top, size_t count, int h, size_t from, size_t to);

#endif

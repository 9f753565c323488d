#include "tui/scroll.h"

void tui_scroll(size_t *top, size_t count, int h, size_t from, size_t to) {
    size_t rows = h > 0 ? (size_t)h : 1;
    if (to > *top + rows) *top = to - rows;
    if (from < *top) *top = from;
    if (*top + rows > count) *top = count > rows ? count - rows : 0;
}

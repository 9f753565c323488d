#include "tui/screen.h"

#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char letters[TUI_ROLES] = {
#define ROLE(id, letter, colour256, colour8, attributes, mono) letter,
#include "tui/roles.def"
#undef ROLE
};

static const wchar_t glyphs[2][TUI_GLYPHS] = {{
#define GLYPH(id, utf8, ascii) utf8,
#include "tui/glyphs.def"
#undef GLYPH
                                              },
                                              {
#define GLYPH(id, utf8, ascii) ascii,
#include "tui/glyphs.def"
#undef GLYPH
                                              }};

void tui_screen_resize(struct tui_screen *s, int cols, int rows) {
    s->cols = cols < 1 ? 1 : cols;
    s->rows = rows < 1 ? 1 : rows;
    free(s->cells);
    s->cells = calloc((size_t)s->cols * (size_t)s->rows, sizeof *s->cells);
    rf_assert(s->cells);
    tui_screen_clear(s);
}

void tui_screen_clear(struct tui_screen *s) {
    for (int i = 0; i < s->cols * s->rows; i++)
        s->cells[i] = (struct tui_cell){L' ', TUI_ROLE_NORMAL};
}

void tui_screen_release(struct tui_screen *s) {
    free(s->cells);
    s->cells = NULL;
}

char tui_role_letter(enum tui_role role) {
    return letters[role];
}

wchar_t tui_glyph(const struct tui_screen *s, enum tui_glyph glyph) {
    return glyphs[s->ascii][glyph];
}

static struct tui_cell *cell_at(const struct tui_area *a, int y, int x) {
    if (y < 0 || y >= a->h || x < 0 || x >= a->w) return NULL;
    y += a->y;
    x += a->x;
    if (y < 0 || y >= a->screen->rows || x < 0 || x >= a->screen->cols) return NULL;
    return &a->screen->cells[y * a->screen->cols + x];
}

// Half a wide character is none: overwriting one half blanks the other.
static void split_wide(const struct tui_area *a, int y, int x) {
    struct tui_cell *cell = cell_at(a, y, x), *right = cell_at(a, y, x + 1), *left = cell_at(a, y, x - 1);
    if (cell && cell->ch == 0 && left) left->ch = L' ';
    if (cell && cell->ch != 0 && right && right->ch == 0) right->ch = L' ';
}

void tui_cell_put(const struct tui_area *a, int y, int x, enum tui_role role, wchar_t ch) {
    struct tui_cell *cell = cell_at(a, y, x);
    if (!cell) return;
    split_wide(a, y, x);
    *cell = (struct tui_cell){ch, role};
}

void tui_cell_glyph(const struct tui_area *a, int y, int x, enum tui_role role, enum tui_glyph glyph) {
    tui_cell_put(a, y, x, role, tui_glyph(a->screen, glyph));
}

void tui_cell_role(const struct tui_area *a, int y, int x, enum tui_role role) {
    struct tui_cell *cell = cell_at(a, y, x);
    if (cell) cell->role = role;
}

void tui_fill(const struct tui_area *a, int y, int x, int width, enum tui_role role, wchar_t ch) {
    for (int i = 0; i < width; i++)
        tui_cell_put(a, y, x + i, role, ch);
}

// Decodes one character by hand: the locale may be "C" while the text (a path, a thread's name) is not.
static wchar_t decode(const char **text) {
    const unsigned char *s = (const unsigned char *)*text;
    int more = s[0] < 0x80 ? 0 : s[0] >= 0xf0 && s[0] < 0xf5 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc2 ? 1 : -1;
    if (s[0] >= 0xf5) more = -1;
    uint32_t ch = more <= 0 ? s[0] : s[0] & (0x3fu >> more);
    int i = 1;
    for (; more > 0 && i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) break;
        ch = ch << 6 | (s[i] & 0x3f);
    }
    if (more < 0 || (more > 0 && i <= more)) {
        *text += 1;
        return L'?';
    }
    *text += 1 + (more > 0 ? more : 0);
    return ch < 0x20 || (ch >= 0x7f && ch < 0xa0) ? L'?' : (wchar_t)ch;
}

// Columns of a character; -1: it joins the one before it and is left out.
static int width_of(const struct tui_screen *s, wchar_t *ch) {
    if (*ch < 0x7f) return 1;
    int width = s->ascii ? -1 : wcwidth(*ch);
    if (width == 0) return -1;
    if (width > 0) return width;
    *ch = L'?';
    return 1;
}

int tui_text_width(const struct tui_screen *s, const char *text) {
    int total = 0;
    while (*text) {
        wchar_t ch = decode(&text);
        int width = width_of(s, &ch);
        total += width > 0 ? width : 0;
    }
    return total;
}

int tui_text(const struct tui_area *a, int y, int x, int width, enum tui_role role, const char *text) {
    if (width > a->w - x) width = a->w - x;
    if (width <= 0) return x;
    int end = x + width;
    bool clipped = tui_text_width(a->screen, text) > width;
    int limit = clipped ? end - 1 : end;
    while (*text) {
        wchar_t ch = decode(&text);
        int columns = width_of(a->screen, &ch);
        if (columns < 0) continue;
        if (x + columns > limit) break;
        tui_cell_put(a, y, x, role, ch);
        if (columns == 2) tui_cell_put(a, y, x + 1, role, 0);
        x += columns;
    }
    if (clipped) {
        while (x < limit)
            tui_cell_put(a, y, x++, role, L' ');
        tui_cell_glyph(a, y, x++, role, TUI_GLYPH_ELLIPSIS);
    }
    return x;
}

const char *tui_format(char room[TUI_LINE], const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(room, TUI_LINE, format, list);
    va_end(list);
    return room;
}

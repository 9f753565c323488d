// The screen as a plane of characters and a plane of roles: what views draw on, the terminal shows and dumps
// save.
#ifndef REFORK_TUI_SCREEN_H
#define REFORK_TUI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

enum tui_role {
#define ROLE(id, letter, colour256, colour8, attributes, mono) TUI_ROLE_##id,
#include "tui/roles.def"
#undef ROLE
    TUI_ROLES
};

enum tui_glyph {
#define GLYPH(id, utf8, ascii) TUI_GLYPH_##id,
#include "tui/glyphs.def"
#undef GLYPH
    TUI_GLYPHS
};

struct tui_cell {
    wchar_t ch; // 0: the right half of the wide character before it
    uint8_t role;
};

struct tui_screen {
    int cols, rows;
    bool ascii;
    struct tui_cell *cells; // rows * cols
};

// A rectangle of a screen.
struct tui_area {
    struct tui_screen *screen;
    int y, x, h, w;
};

// Sets the size and clears. Sizes below 1 become 1.
void tui_screen_resize(struct tui_screen *s, int cols, int rows);
void tui_screen_clear(struct tui_screen *s);
void tui_screen_release(struct tui_screen *s);
char tui_role_letter(enum tui_role role);
wchar_t tui_glyph(const struct tui_screen *s, enum tui_glyph glyph);

// One cell; outside of the area: nothing.
void tui_cell_put(const struct tui_area *a, int y, int x, enum tui_role role, wchar_t ch);
void tui_cell_glyph(const struct tui_area *a, int y, int x, enum tui_role role, enum tui_glyph glyph);
void tui_cell_role(const struct tui_area *a, int y, int x, enum tui_role role);

// UTF-8 text from (y, x) over at most `width` columns (clipped with the ellipsis and to the area). Control
// characters and bad bytes become '?', in ASCII everything above 126 too. Returns the column behind the text.
int tui_text(const struct tui_area *a, int y, int x, int width, enum tui_role role, const char *text);
// The same with a text that is made by a format and its arguments; cut off at TUI_LINE bytes.
enum { TUI_LINE = 1024 };
#define tui_textf(a, y, x, width, role, ...)                                                                 \
    tui_text(a, y, x, width, role, tui_format((char[TUI_LINE]){0}, __VA_ARGS__))
const char *tui_format(char room[TUI_LINE], const char *format, ...) __attribute__((format(printf, 2, 3)));
// Columns that the text takes.
int tui_text_width(const struct tui_screen *s, const char *text);
void tui_fill(const struct tui_area *a, int y, int x, int width, enum tui_role role, wchar_t ch);

#endif

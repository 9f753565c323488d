#include "tui/view_palette.h"

#include "tui/palette.h"
#include "tui/scroll.h"

void tui_view_palette(struct tui_model *m, struct tui_screen *s) {
    if (!tui_palette_shown(m)) return;
    struct tui_palette_entry entries[TUI_PALETTE_MOST];
    size_t count = tui_palette(m, entries, TUI_PALETTE_MOST), found = count;
    if (count > TUI_PALETTE_MOST) count = TUI_PALETTE_MOST;
    if (m->palette_line >= count) m->palette_line = count ? count - 1 : 0;
    int most = (s->rows - 2) * 2 / 3, h = count < (size_t)most ? (int)count : most;
    struct tui_area heading = {s, s->rows - 2 - h, 0, 1, s->cols}, list = {s, s->rows - 1 - h, 0, h, s->cols};
    tui_fill(&heading, 0, 0, s->cols, TUI_ROLE_PANE, tui_glyph(s, TUI_GLYPH_HLINE));
    bool names = m->prompt == TUI_PROMPT_EXAMINE;
    if (count)
        tui_textf(&heading, 0, 1, s->cols - 2, TUI_ROLE_PANE_ACTIVE, " %s: %zu (Up, Down, Enter) ",
                  names ? "Variables" : "Commands", found);
    else
        tui_text(&heading, 0, 1, s->cols - 2, TUI_ROLE_PANE_ACTIVE,
                 names ? " no such variable " : " no such command ");
    tui_scroll(&m->palette_top, count, h, m->palette_line, m->palette_line + 1);
    for (int y = 0; y < h; y++) {
        size_t i = m->palette_top + (size_t)y;
        const struct tui_palette_entry *e = &entries[i];
        bool here = i == m->palette_line;
        enum tui_role role = here ? TUI_ROLE_FOCUS : TUI_ROLE_NORMAL;
        tui_fill(&list, y, 0, s->cols, role, L' ');
        if (here) tui_cell_glyph(&list, y, 0, role, TUI_GLYPH_POINTER);
        if (names) {
            tui_text(&list, y, 2, s->cols - 3, role, e->help);
            continue;
        }
        tui_text(&list, y, 2, 9, here ? role : TUI_ROLE_LOCK, e->keys);
        tui_text(&list, y, 12, 18, here ? role : TUI_ROLE_HERE, e->name);
        tui_text(&list, y, 31, s->cols - 32, role, e->help);
    }
}

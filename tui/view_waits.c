#include "tui/view_waits.h"

#include "tui/scroll.h"
#include "tui/story.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum tui_glyph glyph;
    enum tui_role role;
} sorts[] = {
    [TUI_WAIT_WAITER] = {TUI_GLYPH_STUCK, TUI_ROLE_STUCK},
    [TUI_WAIT_GHOST] = {TUI_GLYPH_VANISHED, TUI_ROLE_GHOST},
    [TUI_WAIT_HOLDER] = {TUI_GLYPH_LOCK, TUI_ROLE_LOCK},
    [TUI_WAIT_CLOSED] = {TUI_GLYPH_CIRCLE, TUI_ROLE_STUCK},
    [TUI_WAIT_OTHER] = {TUI_GLYPH_WAIT, TUI_ROLE_WAIT},
};

// The column where a row's text begins: pointer, branch and symbol stand before it.
static int indent_of(const struct tui_wait_row *row, int w) {
    int depth = row->depth > 8 ? 8 : row->depth, indent = 3 + 2 * depth;
    return indent > w / 2 ? w / 2 : indent;
}

static int rows_of(const struct tui_wait_row *row, int w) {
    int rows = 0;
    for (const char *text = row->text; *text; rows++)
        tui_wrap(&text, w - indent_of(row, w) - 1);
    return rows ? rows : 1;
}

void tui_view_waits(struct tui_model *m, const struct tui_area *a) {
    if (!m->verdict) {
        tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM,
                 m->verdict_state == TUI_VERDICT_FAILED ? "not known: there is no verdict"
                                                        : "known when the verdict is");
        return;
    }
    if (!m->wait_count) tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM, "nobody waits when the recording ends");
    size_t total = 0, from = 0, to = 0;
    for (size_t i = 0; i < m->wait_count; i++) {
        if (i == m->wait_line) from = total;
        total += (size_t)rows_of(&m->waits[i], a->w);
        if (i == m->wait_line) to = total;
    }
    tui_scroll(&m->waits_top, total, a->h, from, to);
    int y = -(int)m->waits_top;
    for (size_t i = 0; i < m->wait_count && y < a->h; i++) {
        const struct tui_wait_row *row = &m->waits[i];
        int x = indent_of(row, a->w);
        bool here = i == m->wait_line && m->pane == TUI_WAITS;
        if (here) tui_cell_glyph(a, y, 0, TUI_ROLE_HERE, TUI_GLYPH_POINTER);
        if (row->depth) tui_cell_glyph(a, y, x - 3, TUI_ROLE_DIM, TUI_GLYPH_BORN);
        tui_cell_glyph(a, y, x - 2, sorts[row->sort].role, sorts[row->sort].glyph);
        for (const char *text = row->text; *text; y++) {
            char part[sizeof row->text];
            const char *begin = text;
            snprintf(part, sizeof part, "%.*s", tui_wrap(&text, a->w - x - 1), begin);
            tui_text(a, y, x, a->w - x, row->sort == TUI_WAIT_OTHER ? TUI_ROLE_DIM : sorts[row->sort].role,
                     part);
        }
    }
    if (total > m->waits_top + (size_t)a->h)
        tui_cell_glyph(a, a->h - 1, a->w - 1, TUI_ROLE_PANE, TUI_GLYPH_ELLIPSIS);
}

void tui_waits_click(struct tui_model *m, const struct tui_slot *slot, int y, int x) {
    (void)x;
    int row = -(int)m->waits_top;
    for (size_t i = 0; i < m->wait_count; i++) {
        row += rows_of(&m->waits[i], slot->w);
        if (y >= row) continue;
        m->wait_line = i;
        return;
    }
}

#include "tui/view_story.h"

#include "tui/focus.h"
#include "tui/screen.h"
#include "tui/scroll.h"
#include "tui/story.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum tui_glyph glyph;
    enum tui_role role, text;
    bool symbol;
} sorts[] = {
    [TUI_STORY_STUCK] = {TUI_GLYPH_STUCK, TUI_ROLE_STUCK, TUI_ROLE_STUCK, true},
    [TUI_STORY_MADE] = {TUI_GLYPH_MADE, TUI_ROLE_LOCK, TUI_ROLE_NORMAL, true},
    [TUI_STORY_LOCK] = {TUI_GLYPH_LOCK, TUI_ROLE_LOCK, TUI_ROLE_NORMAL, true},
    [TUI_STORY_FORK] = {TUI_GLYPH_FORK, TUI_ROLE_FORK, TUI_ROLE_NORMAL, true},
    [TUI_STORY_WAIT] = {TUI_GLYPH_STUCK, TUI_ROLE_STUCK, TUI_ROLE_NORMAL, true},
    [TUI_STORY_ADVICE] = {TUI_GLYPH_ADVICE, TUI_ROLE_GOOD, TUI_ROLE_NORMAL, true},
    [TUI_STORY_GOOD] = {TUI_GLYPH_OK, TUI_ROLE_GOOD, TUI_ROLE_GOOD, true},
    [TUI_STORY_TEXT] = {TUI_GLYPH_OK, TUI_ROLE_NORMAL, TUI_ROLE_DIM, false},
};

static void draw_line(const struct tui_model *m, const struct tui_area *a, int y, size_t index) {
    const struct tui_story_line *line = &m->story.lines[index];
    int indent = TUI_STORY_INDENT(line->sort), width = TUI_STORY_WIDTH(a->w, line->sort), where_row;
    int rows = tui_story_rows(line, width, &where_row), row = 0;
    bool here = index == m->story_line && line->event == m->focus.event && line->tid == m->focus.tid;
    if (index == m->story_line && (here || m->pane == TUI_STORY)) {
        tui_cell_glyph(a, y, 0, TUI_ROLE_HERE, TUI_GLYPH_POINTER);
    }
    if (sorts[line->sort].symbol) tui_cell_glyph(a, y, 2, sorts[line->sort].role, sorts[line->sort].glyph);
    if (line->event && indent > 4) {
        tui_textf(a, y, 4, indent - 5, here ? TUI_ROLE_HERE : TUI_ROLE_DIM, "%llu",
                  (unsigned long long)line->event);
    }
    for (const char *text = line->text; *text; row++) {
        char part[1280];
        const char *begin = text;
        snprintf(part, sizeof part, "%.*s", tui_wrap(&text, width), begin);
        tui_text(a, y + row, indent, width,
                 here && sorts[line->sort].text == TUI_ROLE_NORMAL ? TUI_ROLE_HERE : sorts[line->sort].text,
                 part);
    }
    if (where_row >= 0) {
        int len = tui_text_width(a->screen, line->where);
        int x = len < width ? a->w - len - (a->w > len + indent) : indent;
        tui_text(a, y + rows - 1, x < indent ? indent : x, width, TUI_ROLE_DIM, line->where);
    }
}

void tui_view_story(struct tui_model *m, const struct tui_area *a) {
    size_t total = 0, from = 0, to = 0;
    for (size_t i = 0; i < m->story.count; i++) {
        int rows = tui_story_rows(&m->story.lines[i], TUI_STORY_WIDTH(a->w, m->story.lines[i].sort), NULL);
        if (i == m->story_line) {
            from = total;
            to = total + (size_t)rows;
        }
        total += (size_t)rows;
    }
    tui_scroll(&m->story_top, total, a->h, from, to);
    int y = -(int)m->story_top;
    for (size_t i = 0; i < m->story.count && y < a->h; i++) {
        draw_line(m, a, y, i);
        y += tui_story_rows(&m->story.lines[i], TUI_STORY_WIDTH(a->w, m->story.lines[i].sort), NULL);
    }
    if (total > m->story_top + (size_t)a->h) {
        tui_cell_glyph(a, a->h - 1, a->w - 1, TUI_ROLE_PANE, TUI_GLYPH_ELLIPSIS);
    }
}

void tui_story_click(struct tui_model *m, const struct tui_slot *slot, int y, int x) {
    (void)x;
    int row = -(int)m->story_top;
    for (size_t i = 0; i < m->story.count; i++) {
        const struct tui_story_line *line = &m->story.lines[i];
        row += tui_story_rows(line, TUI_STORY_WIDTH(slot->w, line->sort), NULL);
        if (y >= row) continue;
        m->story_line = i;
        m->finding = line->finding;
        if (line->event) tui_model_focus(m, line->event, line->tid);
        return;
    }
}

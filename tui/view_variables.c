#include "tui/view_variables.h"

#include "tui/scroll.h"
#include "tui/variables.h"

#include <stdio.h>

static void draw_variable(const struct tui_variable *row, const struct tui_area *a, int y,
                          enum tui_role role) {
    bool here = role == TUI_ROLE_FOCUS;
    const struct local *what = &row->what;
    int x = 1 + 2 * what->depth;
    x = tui_text(a, y, x, a->w - x, here ? role : TUI_ROLE_HERE, what->name);
    enum tui_role value = row->marked && !here ? TUI_ROLE_MATCH : role;
    if (*what->value)
        x = tui_textf(a, y, x, a->w - x, value, " = %s%s", what->value, row->marked ? " *" : "");
    int width = tui_text_width(a->screen, what->type);
    if (x + 2 + width < a->w) tui_text(a, y, a->w - width - 1, width, here ? role : TUI_ROLE_DIM, what->type);
}

// "55555555a0c0  01* 00 00 ..  ........": what has changed has a star.
static void draw_memory(const struct tui_variable *row, const struct tui_area *a, int y, enum tui_role role) {
    bool here = role == TUI_ROLE_FOCUS;
    int x = tui_textf(a, y, 1, a->w - 1, here ? role : TUI_ROLE_DIM, "%012llx ",
                      (unsigned long long)row->what.address);
    for (int i = 0; i < TUI_MEMORY_ROW; i++) {
        bool marked = row->marked >> i & 1;
        if (i >= row->length)
            x = tui_text(a, y, x, a->w - x, role, "   ");
        else
            x = tui_textf(a, y, x, a->w - x, marked && !here ? TUI_ROLE_MATCH : role, "%02x%c", row->bytes[i],
                          marked ? '*' : ' ');
    }
    for (int i = 0; i < row->length; i++) {
        bool shown = row->bytes[i] >= ' ' && row->bytes[i] < 127;
        x = tui_textf(a, y, x, a->w - x, role, "%c", shown ? row->bytes[i] : '.');
    }
}

static void draw_row(const struct tui_model *m, const struct tui_area *a, int y, size_t index) {
    const struct tui_variable *row = &m->variables->rows[index];
    bool here = index == m->variable_line && m->pane == TUI_VARIABLES;
    enum tui_role role = here ? TUI_ROLE_FOCUS : TUI_ROLE_NORMAL;
    if (here) tui_fill(a, y, 0, a->w, role, L' ');
    if (here) tui_cell_glyph(a, y, 0, role, TUI_GLYPH_POINTER);
    if (row->sort == TUI_ROW_VARIABLE)
        draw_variable(row, a, y, role);
    else if (row->sort == TUI_ROW_MEMORY)
        draw_memory(row, a, y, role);
    else
        tui_textf(a, y, 1, a->w - 1, here ? role : TUI_ROLE_LOCK, "%s%s%s", row->what.name,
                  *row->what.value ? "  " : "", row->what.value);
}

void tui_view_variables(struct tui_model *m, const struct tui_area *a) {
    const char *why = NULL;
    if (tui_variables_fresh(m) && m->variables)
        why = m->variables->count ? NULL : "this function has no arguments and no variables here";
    else if (tui_variables_fresh(m))
        why = m->variables_error;
    else if (m->stack_valid && !m->frame_count)
        why = "no frame is in focus";
    else if (m->stack_valid && m->focus.frame < m->frame_count && m->frames[m->focus.frame].of_script)
        why = "a script's variables are not known; x shows globals, ! opens gdb";
    else
        why = "re-executing up to here";
    if (why) {
        tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM, why);
        return;
    }
    tui_scroll(&m->variables_top, m->variables->count, a->h, m->variable_line, m->variable_line + 1);
    for (int y = 0; y < a->h && m->variables_top + (size_t)y < m->variables->count; y++)
        draw_row(m, a, y, m->variables_top + (size_t)y);
}

void tui_variables_click(struct tui_model *m, const struct tui_slot *slot, int y, int x) {
    (void)slot;
    (void)x;
    if (m->variables && m->variables_top + (size_t)y < m->variables->count)
        m->variable_line = m->variables_top + (size_t)y;
}

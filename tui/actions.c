#include "tui/actions.h"

#include "tui/state.h"
#include "tui/keys.h"

#include <string.h>

enum { ALWAYS = 0, SEARCHING = 1 };

const struct tui_action_row tui_action_rows[] = {
#define GROUP(text)                         {TUI_ACTION_NONE, "", "", false, "", text},
#define ACTION(id, keys, when, label, help) {TUI_ACTION_##id, #id, keys, when, label, help},
#include "tui/actions.def"
#undef ACTION
#undef GROUP
};
const size_t tui_action_row_count = sizeof tui_action_rows / sizeof *tui_action_rows;

static bool has_key(const char *keys, int key) {
    while (*keys) {
        size_t len = strcspn(keys, " ");
        if (tui_key_named(keys, len) == key) return true;
        keys += len + (keys[len] == ' ');
    }
    return false;
}

enum tui_action tui_action_of(int key, bool searching) {
    for (int pass = searching; pass >= 0; pass--) {
        for (size_t i = 0; i < tui_action_row_count; i++) {
            const struct tui_action_row *row = &tui_action_rows[i];
            if (row->searching == (pass == 1) && *row->keys && has_key(row->keys, key)) return row->action;
        }
    }
    return TUI_ACTION_NONE;
}

static void roff_text(FILE *out, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\'')
            fputs("\\(aq", out);
        else if (*text == '^')
            fputs("\\(ha", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            putc(*text, out);
    }
}

void tui_print_keys(FILE *out, bool roff) {
    for (size_t i = 0; i < tui_action_row_count; i++) {
        const struct tui_action_row *row = &tui_action_rows[i];
        if (row->action == TUI_ACTION_NONE) {
            fprintf(out, roff ? ".SS \"%s\"\n" : "%s\n", row->help);
        } else if (roff) {
            fputs(".TP\n.B ", out);
            roff_text(out, row->keys);
            putc('\n', out);
            roff_text(out, row->help);
            putc('\n', out);
        } else {
            fprintf(out, "  %-10s  %s\n", row->keys, row->help);
        }
    }
}

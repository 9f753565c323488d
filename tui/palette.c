#include "tui/palette.h"

#include "tui/examine.h"
#include "tui/match.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool tui_palette_shown(const struct tui_model *m) {
    const char *text = m->prompt_text;
    if (m->prompt == TUI_PROMPT_EXAMINE) return m->names && !isdigit((unsigned char)*text);
    if (m->prompt != TUI_PROMPT_COMMAND) return false;
    if (!*text) return m->palette;
    return !isdigit((unsigned char)*text) && !strchr("+-.", *text) && strncmp(text, "dump ", 5) != 0;
}

static bool has_words(const char *text, const char *words) {
    while (*words) {
        char word[64];
        size_t len = strcspn(words, " ");
        snprintf(word, sizeof word, "%.*s", (int)len, words);
        if (*word && !tui_contains(text, word)) return false;
        words += len + (words[len] == ' ');
    }
    return true;
}

static void name_of(const char *id, char *out, size_t size) {
    snprintf(out, size, "%s", id);
    for (; *out; out++)
        *out = *out == '_' ? '-' : (char)tolower((unsigned char)*out);
}

static size_t palette_of_names(const struct tui_model *m, struct tui_palette_entry *out, size_t max) {
    const char *names[TUI_PALETTE_MOST];
    size_t count = tui_examine_matches(m, names, TUI_PALETTE_MOST);
    for (size_t i = 0; i < count && i < max && i < TUI_PALETTE_MOST; i++)
        out[i] = (struct tui_palette_entry){.keys = "", .help = names[i]};
    return count;
}

size_t tui_palette(const struct tui_model *m, struct tui_palette_entry *out, size_t max) {
    size_t count = 0;
    if (m->prompt == TUI_PROMPT_EXAMINE) return palette_of_names(m, out, max);
    char text[512];
    for (int pass = 0; pass < 2; pass++) { // names that begin so come first
        for (size_t i = 0; i < tui_action_row_count; i++) {
            const struct tui_action_row *row = &tui_action_rows[i];
            struct tui_palette_entry e = {.action = row->action, .keys = row->keys, .help = row->help};
            if (row->action == TUI_ACTION_NONE || row->action == TUI_ACTION_COMMAND ||
                row->action == TUI_ACTION_PALETTE || (row->searching && !m->searching))
                continue;
            name_of(row->name, e.name, sizeof e.name);
            bool begins = *m->prompt_text && !strncmp(e.name, m->prompt_text, strlen(m->prompt_text));
            snprintf(text, sizeof text, "%s %s %s", e.name, row->keys, row->help);
            if (begins != !pass || !has_words(text, m->prompt_text)) continue;
            if (count < max) out[count] = e;
            count++;
        }
    }
    for (int i = 0; i < 26; i++) {
        const struct tui_mark *mark = &m->marks[i];
        static const char *const to[26] = {"'a", "'b", "'c", "'d", "'e", "'f", "'g", "'h", "'i",
                                           "'j", "'k", "'l", "'m", "'n", "'o", "'p", "'q", "'r",
                                           "'s", "'t", "'u", "'v", "'w", "'x", "'y", "'z"};
        struct tui_palette_entry e = {
            .action = TUI_ACTION_NONE, .mark = i, .keys = to[i], .help = mark->note};
        if (!mark->place.event) continue;
        snprintf(e.name, sizeof e.name, "mark at %llu", (unsigned long long)mark->place.event);
        snprintf(text, sizeof text, "%s %s %s", e.name, e.keys, e.help);
        if (!has_words(text, m->prompt_text)) continue;
        if (count < max) out[count] = e;
        count++;
    }
    return count;
}

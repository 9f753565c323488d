#include "tui/keys.h"

#include <string.h>

static const struct {
    const char *name;
    int key;
} names[] = {
    {"Tab", TUI_KEY_TAB},
    {"S-Tab", TUI_KEY_BACKTAB},
    {"Enter", TUI_KEY_ENTER},
    {"Esc", TUI_KEY_ESC},
    {"Space", ' '},
    {"Backspace", TUI_KEY_BACKSPACE},
    {"Up", TUI_KEY_UP},
    {"Down", TUI_KEY_DOWN},
    {"Left", TUI_KEY_LEFT},
    {"Right", TUI_KEY_RIGHT},
    {"PgUp", TUI_KEY_PAGE_UP},
    {"PgDn", TUI_KEY_PAGE_DOWN},
    {"Home", TUI_KEY_HOME},
    {"End", TUI_KEY_END},
    {"lt", '<'},
    {"WheelUp", TUI_KEY_WHEEL_UP},
    {"WheelDown", TUI_KEY_WHEEL_DOWN},
};

int tui_key_named(const char *name, size_t len) {
    if (len == 1 && name[0] > ' ' && name[0] < 127) return (unsigned char)name[0];
    if (len == 2 && name[0] == '^' && name[1] >= 'A' && name[1] <= 'Z') return TUI_CTRL(name[1]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) == len && !memcmp(names[i].name, name, len)) return names[i].key;
    }
    return TUI_KEY_NONE;
}

int tui_key_script(const char **script, int *key, struct rf_error *err) {
    const char *s = *script;
    if (!*s) return 0;
    const char *end = *s == '<' ? strchr(s, '>') : NULL;
    if (*s == '<' && !end)
        return rf_fail(err, RF_CANNOT, "unclosed '<' in the script; write <lt> for the character");
    if (end) {
        *key = tui_key_named(s + 1, (size_t)(end - s - 1));
        if (*key == TUI_KEY_NONE) {
            return rf_fail(err, RF_CANNOT,
                           "unknown key '%.*s' in the script; 'refork replay --help' names the keys",
                           (int)(end - s + 1), s);
        }
        *script = end + 1;
        return 1;
    }
    *key = *s == '\n' ? TUI_KEY_ENTER : (unsigned char)*s;
    *script = s + 1;
    return 1;
}

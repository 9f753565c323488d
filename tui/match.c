#include "tui/match.h"

#include <string.h>

bool tui_contains(const char *text, const char *pattern) {
    for (const char *p = pattern; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') return strstr(text, pattern) != NULL;
    }
    return strcasestr(text, pattern) != NULL;
}

bool tui_passes(const char *text, const char *filter) {
    return *filter == '!' ? !tui_contains(text, filter + 1) : tui_contains(text, filter);
}

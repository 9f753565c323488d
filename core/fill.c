#include "core/fill.h"

#include <stdio.h>
#include <string.h>

void fill_text(char *out, size_t size, const char *text, fill_word *word, const void *context) {
    size_t used = strlen(out);
    while (*text && used + 1 < size) {
        int plain = (int)strcspn(text, "{");
        snprintf(out + used, size - used, "%.*s", plain, text);
        text += plain;
        used += strlen(out + used);
        if (!*text) break;
        int len = (int)strcspn(++text, "}");
        char name[32];
        snprintf(name, sizeof name, "%.*s", len, text);
        word(context, name, out + used, size - used);
        used += strlen(out + used);
        text += len + (text[len] == '}');
    }
}

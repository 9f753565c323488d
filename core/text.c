#include "core/text.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text text_in(char *data, size_t size) {
    if (size > 0) *data = 0;
    return (struct text){data, size, 0};
}

void text_add(struct text *t, const char *format, ...) {
    if (t->used + 1 >= t->size) return;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->data + t->used, t->size - t->used, format, ap);
    va_end(ap);
    if (n < 0) return;
    t->used += (size_t)n;
    if (t->used >= t->size) t->used = t->size - 1;
}

// Escapes what is not printable ASCII or whole UTF-8 would need a decoder for: bytes above 127 pass, C1
// controls have the form 0xc2 0x80..0x9f in UTF-8 and are escaped.
void text_escaped(struct text *t, const void *data, size_t len, size_t max) {
    const unsigned char *p = data;
    for (size_t i = 0; i < len && i < max; i++) {
        if (p[i] == '\\' || p[i] == '"')
            text_add(t, "\\%c", p[i]);
        else if (p[i] == '\n')
            text_add(t, "\\n");
        else if (p[i] < ' ' || p[i] == 127 || (p[i] >= 0x80 && p[i] < 0xa0 && (i == 0 || p[i - 1] == 0xc2)))
            text_add(t, "\\x%02x", p[i]);
        else
            text_add(t, "%c", p[i]);
    }
    if (len > max) text_add(t, "...");
}

void text_quoted(struct text *t, const void *data, size_t len, int more) {
    static const char letters[] = {
        ['\n'] = 'n', ['\t'] = 't', ['\v'] = 'v', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    const unsigned char *p = data;
    text_add(t, "\"");
    for (size_t i = 0; i < len; i++) {
        int digit_follows = i + 1 < len && p[i + 1] >= '0' && p[i + 1] <= '9';
        if (p[i] < sizeof letters && letters[p[i]])
            text_add(t, "\\%c", letters[p[i]]);
        else if (p[i] >= ' ' && p[i] < 127)
            text_add(t, "%c", p[i]);
        else
            text_add(t, digit_follows ? "\\%03o" : "\\%o", p[i]);
    }
    text_add(t, more ? "\"..." : "\"");
}

void text_signal(struct text *t, int64_t signal) {
    const char *name = signal > 0 && signal < NSIG ? sigabbrev_np((int)signal) : NULL;
    if (name)
        text_add(t, "SIG%s", name);
    else
        text_add(t, "signal %lld", (long long)signal);
}

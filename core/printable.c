#include "core/printable.h"
#include "core/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// Bytes of the UTF-8 character at `c`, 0: it is none. To a terminal that knows no UTF-8, stray bytes are controls.
static size_t utf8_length(const unsigned char *c) {
    size_t len = *c < 0xc2 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < len; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    return len;
}

void printable(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c;) {
        size_t len = *c < 0x80 ? 1 : utf8_length(c);
        bool c1 = len == 2 && c[0] == 0xc2 && c[1] < 0xa0;
        if (*c < ' ' || *c == 127)
            *c = *c == '\t' ? ' ' : '?';
        else if (c1)
            c[0] = c[1] = '?';
        else if (!len)
            *c = '?';
        c += len ? len : 1;
    }
}

void print_clean(FILE *out, const char *format, ...) {
    char *text;
    va_list ap;
    va_start(ap, format);
    int length = vasprintf(&text, format, ap);
    va_end(ap);
    rf_assert(length >= 0); // out of memory: a line left out would be a wrong answer
    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        printable(line);
        fprintf(out, "%s%s", line, end ? "\n" : "");
    }
    free(text);
}

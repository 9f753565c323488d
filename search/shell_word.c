#include "search/shell_word.h"

#include "core/error.h"
#include "core/printable.h"

#include <stdlib.h>
#include <string.h>

void shell_word(FILE *out, const char *before, const char *word, bool bare) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
    char *clean =
        strdup(word); // one that must be cleaned cannot be copied from the terminal, but does no harm there
    rf_assert(clean);
    printable(clean);
    fputs(before, out);
    if (bare && *clean && strspn(clean, plain) == strlen(clean)) {
        fputs(clean, out);
    } else {
        fputc('\'', out);
        for (const char *c = clean; *c; c++)
            *c == '\'' ? fputs("'\\''", out) : fputc(*c, out);
        fputc('\'', out);
    }
    free(clean);
}

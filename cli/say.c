#include "cli/cli.h"
#include "replayer/report/lines.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void cli_say(FILE *out, const char *format, ...) {
    char *text;
    va_list ap;
    va_start(ap, format);
    int length = vasprintf(&text, format, ap);
    va_end(ap);
    if (length < 0) return;
    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        report_clean(line);
        fprintf(out, "%s%s", line, end ? "\n" : "");
    }
    free(text);
}

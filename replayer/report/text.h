// A verdict as text (80 columns, readable in a bug report).
#ifndef REFORK_REPLAYER_REPORT_TEXT_H
#define REFORK_REPLAYER_REPORT_TEXT_H

#include "replayer/verdict/verdict.h"

#include <stdio.h>

// Source lines of `file` for quoting: returns the text of line `line` (no newline) or NULL. Owned by the
// context.
typedef const char *(*source_line)(void *context, const char *file, int line);

void report_text(FILE *out, const struct verdict *v, source_line line, void *context);
// One finding of *v as report_text prints it.
void report_finding_text(FILE *out, const struct verdict *v, const struct finding *f, source_line line,
                         void *context);
// A stack as it is printed there: without what lies inside libc and before main, one line of source.
void report_stack_text(FILE *out, const struct stack *s, source_line line, void *context);
#endif

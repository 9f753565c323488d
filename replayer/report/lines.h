// Lines of the text report: none is longer than 80 columns, whatever names and paths are in them.
#ifndef REFORK_REPLAYER_REPORT_LINES_H
#define REFORK_REPLAYER_REPORT_LINES_H

#include "replayer/report/text.h"

#include <stddef.h>
#include <stdio.h>

#define REPORT_COLUMNS 80

// Columns of a text in UTF-8, each character one.
size_t report_columns(const char *text);

// Prints text broken at blanks, every line behind `indent` of them; a word that is longer than a line is broken behind
// a '/', ',' or "::", or anywhere. '\n' in the text breaks too.
void report_wrap(FILE *out, int indent, const char *format, ...) __attribute__((format(printf, 3, 4)));

// One frame: number, function, place; `hidden` frames inside it are not shown. Long C++ names lose their template
// arguments, then their parameters; what is then still too long goes on in further lines. Of a path that is too long
// the end is shown.
void report_frame(FILE *out, const struct frame *f, size_t number, size_t hidden);

// `text` as the source line `line` of a frame.
void report_source(FILE *out, int line, const char *text);

#endif

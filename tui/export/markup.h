// Markup with text of the recording in it. The page is XHTML as well as HTML: a parser of XML takes it, so that a
// test can hold every page against one.
#ifndef REFORK_TUI_EXPORT_MARKUP_H
#define REFORK_TUI_EXPORT_MARKUP_H

#include <stdio.h>

// Writes the format's own text as it is and every %s (NULL: "") escaped, so that nothing of a recording can become
// markup. %.Ns ends a longer text after N bytes with an ellipsis. Besides: %d %u %zu %lu %llu %lx %c %%.
void markup(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

// `text` (at most `max` bytes of it) for markup: & < > " ' as entities; what is not UTF-8, no character of XML, a
// control character, or would turn the direction of text around (Unicode's bidi controls), as U+FFFD. Newlines and
// tabs are blanks.
void markup_text(FILE *out, const char *text, size_t max);

#endif

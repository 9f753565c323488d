// The text of source files: from the trace, else from this machine's disk.
#ifndef REFORK_REPLAYER_SOURCE_TEXT_H
#define REFORK_REPLAYER_SOURCE_TEXT_H

#include "core/trace/trace_read.h"

struct source_text;

// The reader stays the caller's, and must outlive it.
struct source_text *source_text_new(struct trace_reader *reader);
void source_text_free(struct source_text *t); // NULL is fine
// Line `line` (from 1) of the file at the absolute path `file`, without newline; NULL: there is none. Kept until the end.
const char *source_text_line(struct source_text *t, const char *file, int line);

#endif

// A trace as text: every event on one line, or a summary. What `refork dump` and `refork info` print. Bytes
// of the trace that a terminal would obey are escaped.
#ifndef REFORK_CORE_TRACE_DUMP_H
#define REFORK_CORE_TRACE_DUMP_H

#include "core/decode/descriptors.h"
#include "core/trace/trace_read.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

// Prints events `from` to `to` (both included; 0: from the first, to the last) of task `tid` (0: all), a line
// each: number, seconds since the start, task, kind, what happened, pieces. Moves the reader's cursor. 0; -1
// with RF_BAD_TRACE where the readable part ends before `to` through damage (the events before it are
// printed), RF_CANNOT when there is no event `from` or `out` cannot be written.
int dump_events(FILE *out, struct trace_reader *r, uint64_t from, uint64_t to, int tid, struct rf_error *err);

// The same line for one event into `buffer`, cut at `size`; no newline. `d` names descriptors (NULL: none), it has seen the
// events up to this one.
void dump_event_line(const struct event *e, const struct descriptors *d, char *buffer, size_t size);

// What was recorded, when, where, how long, how it ended, sizes, processes and threads. `path` is only shown.
// Reads the whole trace and moves the cursor. A damaged trace is summarised as far as it can be read, then -1
// as above.
int dump_info(FILE *out, const char *path, struct trace_reader *r, struct rf_error *err);
int dump_info_json(FILE *out, const char *path, struct trace_reader *r, struct rf_error *err);
// The object that dump_info_json prints (the caller's); *result as dump_info returns it. NULL: out of memory.
json_t *dump_info_object(const char *path, struct trace_reader *r, int *result, struct rf_error *err);

#endif

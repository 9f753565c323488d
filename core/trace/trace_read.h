// Reads a trace file.
#ifndef REFORK_CORE_TRACE_TRACE_READ_H
#define REFORK_CORE_TRACE_TRACE_READ_H

#include "core/trace/trace.h"
#include "core/trace/trace_read.h"

// Hostile input: every length, offset and index is checked, memory is bounded (no allocation larger than the limits in
// trace_format.h whatever the file says), an error has status RF_BAD_TRACE and names the byte offset.
struct trace_reader;

// Opens and checks the header; uses the index or, without one (killed recorder), scans the chunks. A file
// that ends within a chunk is usable up to its last whole chunk: trace_truncated() then says so.
int trace_open(const char *path, struct trace_reader **out, struct rf_error *err);
void trace_close(struct trace_reader *r);

const struct trace_header *trace_get_header(const struct trace_reader *r);
uint64_t trace_last_event(const struct trace_reader *r); // number of the last readable event; 0: none
bool trace_truncated(const struct trace_reader *r, uint64_t *at_offset);

// Reads every chunk of the file and checks its checksum, also those that nobody has asked for: 0, or -1 with
// RF_BAD_TRACE and the first damaged byte's chunk. A file that is merely cut off is not damaged. Moves no cursor.
int trace_verify(struct trace_reader *r, struct rf_error *err);

// Puts the cursor before event `number` (1..last+1).
int trace_seek(struct trace_reader *r, uint64_t number, struct rf_error *err);

// Reads the event at the cursor and advances: 1 and *e filled, 0 at the end, -1. The pieces and their data
// stay valid until the next call of trace_next or trace_seek.
int trace_next(struct trace_reader *r, struct event *e, struct rf_error *err);

// A blob as a sealed memfd with its whole content (checked against its hash), opened once and kept by the
// reader; -1 on error.
int trace_blob_fd(struct trace_reader *r, uint64_t id, struct rf_error *err);
// Name, size; false when there is no such blob.
bool trace_blob_info(struct trace_reader *r, uint64_t id, const char **name, uint64_t *size);
uint64_t trace_blob_count(const struct trace_reader *r); // ids are 1..count
// The blob with that name (last one added wins), 0 if none.
uint64_t trace_blob_by_name(struct trace_reader *r, const char *name);

// For `refork info`: bytes in the file and before compression by kind of chunk.
struct trace_sizes {
    uint64_t file, events_raw, events_stored, blobs_raw, blobs_stored, other_stored, chunks;
};
void trace_get_sizes(const struct trace_reader *r, struct trace_sizes *out);

#endif

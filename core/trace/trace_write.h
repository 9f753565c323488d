// Writes a trace file.
#ifndef REFORK_CORE_TRACE_TRACE_WRITE_H
#define REFORK_CORE_TRACE_TRACE_WRITE_H

#include "core/trace/trace.h"
#include "core/trace/trace_write.h"

struct trace_writer;

// Creates `path` and starts the helper thread that compresses and writes. An older file of that name is replaced when the
// new one's header has been written, by a rename. `cpu_avoid`: the CPU that the engine is pinned to; the helper is kept off
// it when there is another one.
int trace_create(const char *path, const struct trace_header *header, int cpu_avoid,
                 struct trace_writer **out, struct rf_error *err);

// Appends one event (copied; the caller keeps everything). Sets e->number. Cheap: delta-codes into the
// current chunk, hands full chunks (256 KiB of encoded bytes) to the helper thread. Memory is bounded: waits
// for the helper when more than a few MiB are queued. A write error (full disk) is remembered and returned
// from the next call: -1 with the reason; all whole chunks written before it stay readable.
int trace_append(struct trace_writer *w, struct event *e, struct rf_error *err);

// Hands the current chunk over although it is not full (called when the program goes idle and once a second).
int trace_flush(struct trace_writer *w, struct rf_error *err);

// Stores the bytes of a file, once per content: reads all of `fd` (pread, from 0 to its size), returns its
// blob id (from 1) in *id. `name` is the path, for the user. The content is hashed (XXH3-128); bytes already
// stored are not stored again. *xxh: optional, receives 16 bytes. dev/ino/size/mtime unchanged since an
// earlier call: not even read again.
int trace_add_file(struct trace_writer *w, int fd, const char *name, uint64_t *id, struct rf_error *err);

// The same for bytes in memory.
int trace_add_bytes(struct trace_writer *w, const void *data, size_t len, const char *name, uint64_t *id,
                    struct rf_error *err);

// Writes what is left and the index chunk, ends the helper, closes the file, frees w (also after an error).
int trace_finish(struct trace_writer *w, struct rf_error *err);

// Adds blobs to a finished trace (the sources that a verdict quotes): opens it, appends BLOB chunks and a new
// index.
int trace_amend(const char *path, struct trace_writer **out, struct rf_error *err);

uint64_t trace_written_bytes(const struct trace_writer *w);
uint64_t trace_event_count(const struct trace_writer *w); // number of the last appended event

#endif

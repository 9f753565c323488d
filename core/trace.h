// The trace file: one file per recording, append-only chunks, self-contained. Writer and reader live side by
// side (trace_write.c, trace_read.c) over the one description of the layout (trace_format.h).
#ifndef REFORK_CORE_TRACE_H
#define REFORK_CORE_TRACE_H

#include "core/error.h"
#include "core/event.h"

#include <stdint.h>
#include <sys/types.h>

// Any change of the layout, of core/events.def or of the meaning of a field bumps this.
#define TRACE_FORMAT 4

// header.flags: cpuid was trapped by the CPU, not by patches; replay needs that as well.
#define TRACE_CPUID_FAULTS 1

// What the header says, besides magic and version.
struct trace_header {
    uint32_t format;
    char refork_version[32];
    uint64_t start_unix_ns;   // wall clock at the start
    char kernel[72];          // uname -r
    char machine_id[40];      // CPU vendor and model, for the user
    uint64_t cpu_features[8]; // as core/cpu.h packs them; replay refuses a foreign CPU by name
    uint32_t xstate_size;     // bytes of NT_X86_XSTATE on the recording machine
    uint32_t paranoid_every;  // memory digest every so many events; 0: none
    uint64_t flags;           // TRACE_CPUID_FAULTS
};

// ---- writer
struct trace_writer;

// Creates `path` (O_EXCL is not used: an older file is replaced only when the new one's header is written,
// through a rename of a temporary in the same folder... see implementation) and starts the helper thread that
// compresses and writes. `cpus_avoid`: the CPU that the engine is pinned to; the helper is kept off it when
// there is another one.
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

// ---- reader
// Hostile
// input: every length, offset and index is checked, memory is bounded (no allocation larger than the limits
// in trace_format.h whatever the file says), an error has status RF_BAD_TRACE and names the byte offset.
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

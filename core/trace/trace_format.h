// The layout of a trace file: the one description that trace_write.c, trace_read.c and trace_codec.c share.
// Private to them (and to the tests and the fuzzer). docs/trace-format.md explains it; any change bumps
// TRACE_FORMAT in core/trace/trace.h.
//
//   +--------+-------+-------+-- ... --+-------------+---------+
//   | header | chunk | chunk |         | index chunk | trailer |     all numbers little-endian
//   +--------+-------+-------+-- ... --+-------------+---------+
//
// Chunks follow each other without a gap. A file without a valid trailer is read by scanning them.
#ifndef REFORK_CORE_TRACE_TRACE_FORMAT_H
#define REFORK_CORE_TRACE_TRACE_FORMAT_H

#include "core/error.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

// ---- header

// As in PNG: a byte above 127, CR LF and ^Z show files that went through a text conversion.
#define TRACE_MAGIC                                                                                          \
    "\x89"                                                                                                   \
    "RFK\r\n\x1a\n"

// `magic` to `refork_version` and "the last four of header_size bytes are the CRC-32C of those before" hold
// in every format, so that each version can refuse every other by name.
struct disk_header {
    char magic[8];
    uint32_t format;
    uint32_t header_size;
    char refork_version[32];
    uint64_t start_unix_ns;
    char kernel[72];
    char machine_id[40];
    uint32_t cpu_shown[16]; // enum cpu_register
    uint32_t xstate_size;
    uint32_t paranoid_every;
    uint64_t flags;
    uint32_t cpu_level; // enum cpu_level
    uint32_t crc;
};
static_assert(sizeof(struct disk_header) == 256, "layout");
static_assert(offsetof(struct disk_header, refork_version) == 16, "layout of all formats");
#define TRACE_MAX_HEADER 4096 // of any format

// ---- chunks ----
#define CHUNK_MAGIC 0x4b4e4843u // "CHNK"

enum chunk_type {
    CHUNK_EVENTS = 1, // first: number of the first event; extra: how many
    CHUNK_BLOB = 2,   // up to BLOB_PIECE bytes of a blob. first: blob id; extra: their offset in the blob
    CHUNK_BLOB_INFO =
        3, // completes a blob, behind its pieces. first: blob id; payload: disk_blob and the name
    // struct disk_index_entry of every chunk before it. first: 0, or where a file that was cut off and then amended ended
    CHUNK_INDEX = 4,
};

enum { CHUNK_RAW = 0, CHUNK_ZSTD = 1 };

struct disk_chunk {
    uint32_t magic;
    uint16_t type;     // enum chunk_type
    uint16_t encoding; // CHUNK_RAW or CHUNK_ZSTD
    uint32_t stored;   // bytes of payload that follow this header
    uint32_t raw;      // bytes of payload after decompression
    uint64_t first;
    uint64_t extra;
    uint32_t reserved;
    uint32_t crc; // CRC-32C of the 36 bytes before and of the payload as stored
};
static_assert(sizeof(struct disk_chunk) == 40, "layout");

struct disk_blob {
    uint64_t size;
    uint64_t hash_low, hash_high; // XXH3-128 of the content
    // the name follows: what is left of the payload, no NUL
};
static_assert(sizeof(struct disk_blob) == 24, "layout");

struct disk_index_entry {
    uint64_t offset; // of the chunk's header in the file
    struct disk_chunk chunk;
};
static_assert(sizeof(struct disk_index_entry) == 48, "layout");

// ---- trailer: the last bytes of a finished file ----
#define TRAILER_MAGIC "RFKTRAIL"

struct disk_trailer {
    char magic[8];
    uint64_t index_offset;
    uint64_t last_event;
    uint32_t reserved;
    uint32_t crc;
};
static_assert(sizeof(struct disk_trailer) == 32, "layout");

// ---- events ----
#define PIECE_DELTA 128 // bit of a piece's kind byte: registers coded as a difference

// ---- limits: what the writer keeps to, and the most that the reader allocates whatever a file says ----
#define EVENTS_CHUNK     (256u << 10) // a chunk is closed when it has so many encoded bytes...
#define EVENTS_MAX_RAW   (64u << 20)  // ... unless one event alone is larger, up to this
#define CHUNK_MAX_TASKS  1024u        // different tasks in one EVENTS chunk; the next one begins a new chunk
#define EVENT_MAX_PIECES (1u << 18)
#define EVENT_MAX_REGS   4u // PIECE_REGS of one event that are delta-coded; more are stored as plain data
#define BLOB_PIECE       (1u << 20)
#define BLOB_MAX_SIZE    (1ull << 46) // of the file; what is not zero is stored
#define BLOB_MAX_NAME    4096u
#define BLOB_MAX_COUNT   (1u << 18)
#define TRACE_MAX_CHUNKS (1u << 20)

// ---- what trace_amend needs from a reader ----
struct trace_reader;

// All chunks in the order of the file, without the index and without pieces of a blob that was never
// completed; they belong to the reader. *end: where the next chunk goes. *cut: where the file was cut off, 0
// if it was finished. -1: damage ends the readable part, what is behind it must not be overwritten.
int trace_chunks(const struct trace_reader *r, const struct disk_index_entry **chunks, size_t *count,
                 uint64_t *end, uint64_t *cut, struct rf_error *err);
struct disk_blob trace_blob_content(const struct trace_reader *r, uint64_t id);

#endif

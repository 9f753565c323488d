// The reader. Nothing in the file is believed: each length is checked against the file and against the limits
// of trace_format.h before anything is allocated or read, each chunk against its checksum before it is
// decoded.
#include "core/trace/trace_read.h"

#include "core/array.h"
#include "core/trace/trace.h"

#include "core/trace/crc32c.h"
#include "core/trace/trace_codec.h"
#include "core/trace/trace_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#define NO_CHUNK SIZE_MAX

struct blob {
    struct disk_blob content;
    char *name;
    size_t first_chunk, chunk_count; // its pieces in trace_reader.chunks
    int fd;                          // -1 until asked for
};

// Room for one chunk. The cursor's chunk has its own: events stay valid while blobs are read.
struct buffers {
    uint8_t *stored,
        *raw; // the chunk as it is in the file, header included; its payload if that is compressed
    size_t stored_capacity, raw_capacity;
};

struct trace_reader {
    int fd;
    char *path;
    uint64_t size; // of the file
    struct trace_header header;
    uint64_t header_size;

    struct disk_index_entry *chunks; // all but the index
    size_t chunk_count;
    size_t *event_chunks; // indices into `chunks`, in the order of their first events
    size_t event_chunk_count;
    uint64_t last_event;
    struct blob *blobs;
    size_t blob_count;
    uint64_t index_stored; // bytes of index and trailer

    uint64_t end;           // of the last good chunk
    uint64_t cut;           // where the file was cut off; 0: it was not
    struct rf_error damage; // found by the scan: what ends the readable part; status 0: nothing

    // cursor
    struct codec *codec;
    struct buffers events;
    const uint8_t *data; // payload of the loaded chunk
    size_t loaded;       // index into event_chunks of that chunk
    size_t position;
    uint64_t next_event, chunk_end; // number of the event at `position`; one past the chunk's last

    struct buffers other; // of every other chunk
    ZSTD_DCtx *zstd;
};

// ---- single chunks ----
static int damaged(const struct trace_reader *r, uint64_t offset, const char *what, struct rf_error *err) {
    return rf_fail(err, RF_BAD_TRACE,
                   "damaged trace '%s' at byte %llu: %s; copy it again or record the program again", r->path,
                   (unsigned long long)offset, what);
}

static int read_at(const struct trace_reader *r, void *buffer, size_t len, uint64_t offset,
                   struct rf_error *err) {
    for (size_t got = 0; got < len;) {
        ssize_t n = pread(r->fd, (char *)buffer + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return rf_fail_errno(err, RF_BAD_TRACE, "cannot read trace '%s' at byte %llu", r->path,
                                 (unsigned long long)(offset + got));
        if (n == 0) return damaged(r, offset + got, "the file ends here, it was longer before", err);
        got += (size_t)n;
    }
    return 0;
}

static int out_of_memory(const struct trace_reader *r, struct rf_error *err) {
    return rf_fail(err, RF_CANNOT, "out of memory while reading trace '%s'", r->path);
}

static int reserve(uint8_t **buffer, size_t *capacity, size_t need) {
    if (*capacity >= need && *buffer) return 0;
    free(*buffer);
    *capacity = need > 4096 ? need : 4096;
    *buffer = malloc(*capacity);
    if (*buffer) return 0;
    *capacity = 0;
    return -1;
}

// What the header of a chunk may say, by type.
static const struct chunk_limits {
    uint32_t min_raw, max_raw;
} chunk_limits[] = {
    [CHUNK_EVENTS] = {2, EVENTS_MAX_RAW},
    [CHUNK_BLOB] = {1, BLOB_PIECE},
    [CHUNK_BLOB_INFO] = {sizeof(struct disk_blob), sizeof(struct disk_blob) + BLOB_MAX_NAME},
    [CHUNK_INDEX] = {0, TRACE_MAX_CHUNKS * sizeof(struct disk_index_entry)},
};

// NULL, or what is wrong with the header of a chunk (whether it fits into the file is for the caller).
static const char *check_chunk(const struct disk_chunk *c) {
    if (c->magic != CHUNK_MAGIC) return "no chunk begins here";
    if (c->type < CHUNK_EVENTS || c->type > CHUNK_INDEX) return "there is no such type of chunk";
    const struct chunk_limits *limits = &chunk_limits[c->type];
    if (c->raw < limits->min_raw || c->raw > limits->max_raw) return "the chunk's size is out of bounds";
    if (c->encoding == CHUNK_RAW && c->stored == c->raw) return NULL;
    if (c->encoding == CHUNK_ZSTD && c->stored > 0 && c->stored < c->raw) return NULL;
    return "the chunk's stored size is wrong";
}

// Reads a chunk as it is stored, and checks its checksum. It lies within the file.
static int read_stored(struct trace_reader *r, const struct disk_index_entry *entry, struct buffers *b,
                       struct rf_error *err) {
    const struct disk_chunk *c = &entry->chunk;
    const size_t size = sizeof *c + c->stored;
    if (reserve(&b->stored, &b->stored_capacity, size) < 0) return out_of_memory(r, err);
    if (read_at(r, b->stored, size, entry->offset, err) < 0) return -1;
    if (memcmp(b->stored, c, sizeof *c) != 0)
        return damaged(r, entry->offset, "the chunk is not the one that the index names", err);
    uint32_t crc = crc32c(crc32c(0, c, offsetof(struct disk_chunk, crc)), b->stored + sizeof *c, c->stored);
    return crc == c->crc ? 0 : damaged(r, entry->offset, "the chunk's checksum is wrong", err);
}

// Reads and unpacks a chunk: *payload points to chunk.raw bytes, valid until `b` is used again.
static int load(struct trace_reader *r, const struct disk_index_entry *entry, struct buffers *b,
                const uint8_t **payload, struct rf_error *err) {
    const struct disk_chunk *c = &entry->chunk;
    if (read_stored(r, entry, b, err) < 0) return -1;
    const uint8_t *stored = b->stored + sizeof *c;
    *payload = stored;
    if (c->encoding == CHUNK_RAW) return 0;
    if (ZSTD_getFrameContentSize(stored, c->stored) != c->raw)
        return damaged(r, entry->offset, "the chunk's sizes contradict each other", err);
    if (reserve(&b->raw, &b->raw_capacity, c->raw) < 0) return out_of_memory(r, err);
    if (ZSTD_decompressDCtx(r->zstd, b->raw, c->raw, stored, c->stored) != c->raw)
        return damaged(r, entry->offset, "the chunk does not decompress", err);
    *payload = b->raw;
    return 0;
}

// ---- the table of chunks ----
static int add_events(struct trace_reader *r, const struct disk_index_entry *entry, struct rf_error *err) {
    // An event has two bytes at least.
    if (entry->chunk.extra == 0 || entry->chunk.extra > entry->chunk.raw / 2)
        return damaged(r, entry->offset, "the chunk's number of events is wrong", err);
    if (entry->chunk.first != r->last_event + 1)
        return damaged(r, entry->offset, "the chunk's events do not follow those before", err);
    size_t *chunk = array_try_add(r->event_chunks, r->event_chunk_count);
    if (!chunk) return out_of_memory(r, err);
    *chunk = r->chunk_count;
    r->last_event += entry->chunk.extra;
    return 0;
}

static int add_blob(struct trace_reader *r, const struct disk_index_entry *entry, struct rf_error *err) {
    struct blob blob = {.first_chunk = r->chunk_count, .fd = -1};
    uint64_t end = 0;
    while (blob.first_chunk > 0 && r->chunks[blob.first_chunk - 1].chunk.type == CHUNK_BLOB &&
           r->chunks[blob.first_chunk - 1].chunk.first == entry->chunk.first)
        blob.first_chunk--;
    blob.chunk_count = r->chunk_count - blob.first_chunk;
    if (blob.chunk_count) {
        const struct disk_chunk *last = &r->chunks[r->chunk_count - 1].chunk;
        end = last->extra + last->raw;
    }
    const uint8_t *payload;
    if (load(r, entry, &r->other, &payload, err) < 0) return -1;
    memcpy(&blob.content, payload, sizeof blob.content);
    if (entry->chunk.first != r->blob_count + 1 || r->blob_count == BLOB_MAX_COUNT)
        return damaged(r, entry->offset, "the file's number is wrong", err);
    if (end > blob.content.size || blob.content.size > BLOB_MAX_SIZE)
        return damaged(r, entry->offset, "the file's size is less than that of its pieces", err);
    blob.name = strndup((const char *)payload + sizeof blob.content, entry->chunk.raw - sizeof blob.content);
    if (!blob.name) return out_of_memory(r, err);
    struct blob *new = array_try_add(r->blobs, r->blob_count);
    if (!new) {
        free(blob.name);
        return out_of_memory(r, err);
    }
    *new = blob;
    return 0;
}

// Pieces of a blob follow each other, with holes of zeros between them, and what completes the blob follows them.
static int check_order(const struct trace_reader *r, const struct disk_index_entry *entry,
                       struct rf_error *err) {
    const struct disk_chunk *c = &entry->chunk;
    const struct disk_chunk *before = r->chunk_count ? &r->chunks[r->chunk_count - 1].chunk : NULL;
    uint64_t offset = 0;
    if (before && before->type == CHUNK_BLOB) {
        if ((c->type != CHUNK_BLOB && c->type != CHUNK_BLOB_INFO) || c->first != before->first)
            return damaged(r, entry->offset, "the file before is not complete", err);
        offset = before->extra + before->raw;
    }
    if (c->type == CHUNK_BLOB &&
        (c->extra < offset || c->extra > BLOB_MAX_SIZE || c->first != r->blob_count + 1))
        return damaged(r, entry->offset, "the file's pieces do not follow each other", err);
    return 0;
}

static int add_chunk(struct trace_reader *r, const struct disk_index_entry *entry, struct rf_error *err) {
    if (r->chunk_count == TRACE_MAX_CHUNKS)
        return damaged(r, entry->offset, "there are too many chunks", err);
    if (check_order(r, entry, err) < 0) return -1;
    if (entry->chunk.type == CHUNK_EVENTS && add_events(r, entry, err) < 0) return -1;
    if (entry->chunk.type == CHUNK_BLOB_INFO && add_blob(r, entry, err) < 0) return -1;
    struct disk_index_entry *new = array_try_add(r->chunks, r->chunk_count);
    if (!new) return out_of_memory(r, err);
    *new = *entry;
    r->end = entry->offset + sizeof entry->chunk + entry->chunk.stored;
    return 0;
}

static void forget_chunks(struct trace_reader *r) {
    for (size_t i = 0; i < r->blob_count; i++) {
        free(r->blobs[i].name);
        if (r->blobs[i].fd >= 0) close(r->blobs[i].fd);
    }
    r->chunk_count = r->event_chunk_count = r->blob_count = 0;
    r->last_event = 0;
    r->index_stored = 0;
    r->cut = 0;
    r->end = r->header_size;
}

// ---- with the index ----
static int read_trailer(struct trace_reader *r, struct disk_trailer *trailer, struct rf_error *err) {
    if (r->size < r->header_size + sizeof(struct disk_chunk) + sizeof *trailer)
        return damaged(r, r->size, "no trailer", err);
    uint64_t offset = r->size - sizeof *trailer;
    if (read_at(r, trailer, sizeof *trailer, offset, err) < 0) return -1;
    if (memcmp(trailer->magic, TRAILER_MAGIC, sizeof trailer->magic) != 0 ||
        trailer->crc != crc32c(0, trailer, offsetof(struct disk_trailer, crc)))
        return damaged(r, offset, "no trailer", err);
    if (trailer->index_offset < r->header_size || trailer->index_offset > offset - sizeof(struct disk_chunk))
        return damaged(r, offset, "the trailer points out of the file", err);
    return 0;
}

// Each entry must be a chunk that begins where the one before ended.
static int use_index(struct trace_reader *r, const struct disk_index_entry *entries, size_t count,
                     uint64_t index_offset, struct rf_error *err) {
    for (size_t i = 0; i < count; i++) {
        const struct disk_index_entry *entry = &entries[i];
        uint64_t room = index_offset - r->end;
        if (entry->offset != r->end || room < sizeof entry->chunk || check_chunk(&entry->chunk) ||
            entry->chunk.stored > room - sizeof entry->chunk || entry->chunk.type == CHUNK_INDEX)
            return damaged(r, index_offset, "the index is wrong", err);
        if (add_chunk(r, entry, err) < 0) return -1;
    }
    return r->end == index_offset ? 0 : damaged(r, index_offset, "the index is not complete", err);
}

static int open_by_index(struct trace_reader *r, struct rf_error *err) {
    struct disk_trailer trailer;
    if (read_trailer(r, &trailer, err) < 0) return -1;
    struct disk_index_entry index = {.offset = trailer.index_offset};
    if (read_at(r, &index.chunk, sizeof index.chunk, index.offset, err) < 0) return -1;
    uint64_t room = r->size - sizeof trailer - sizeof index.chunk - index.offset;
    if (check_chunk(&index.chunk) || index.chunk.type != CHUNK_INDEX || index.chunk.stored != room ||
        index.chunk.raw % sizeof index != 0)
        return damaged(r, index.offset, "no index", err);
    const uint8_t *payload;
    if (load(r, &index, &r->other, &payload, err) < 0) return -1;
    // A copy of its own: blobs' descriptions are read through the same buffers.
    struct disk_index_entry *entries = malloc(index.chunk.raw + 1);
    if (!entries) return out_of_memory(r, err);
    memcpy(entries, payload, index.chunk.raw);
    int result = use_index(r, entries, index.chunk.raw / sizeof index, index.offset, err);
    free(entries);
    if (result == 0 && r->last_event != trailer.last_event)
        result = damaged(r, r->size - sizeof trailer, "the trailer's number of events is wrong", err);
    r->cut = index.chunk.first;
    r->index_stored = r->size - index.offset;
    return result;
}

// ---- without an index ----
static bool all_zero(const void *data, size_t len) {
    const char *p = data;
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

// The chunk at r->end: 1 added, 0 the readable part ends here (r->cut or r->damage says why).
static int scan_chunk(struct trace_reader *r) {
    struct disk_index_entry entry = {.offset = r->end};
    struct disk_chunk *c = &entry.chunk;
    uint64_t room = r->size - r->end;
    if (room < sizeof *c) {
        r->cut = r->size;
        return 0;
    }
    if (read_at(r, c, sizeof *c, entry.offset, &r->damage) < 0) return 0;
    // After a power failure the tail of a file may be zeros: it is as good as missing.
    const char *why = check_chunk(c);
    if (why && !all_zero(c, sizeof *c)) {
        damaged(r, entry.offset, why, &r->damage);
        return 0;
    }
    if (why || c->stored > room - sizeof *c) {
        r->cut = entry.offset;
        return 0;
    }
    if (read_stored(r, &entry, &r->other, &r->damage) < 0) return 0;
    if (c->type == CHUNK_INDEX) {
        // The recording was finished, but index or trailer is not whole.
        r->cut = entry.offset;
        if (room - sizeof *c - c->stored >= sizeof(struct disk_trailer))
            damaged(r, entry.offset, "the index or the trailer is wrong", &r->damage);
        return 0;
    }
    return add_chunk(r, &entry, &r->damage) == 0;
}

static void open_by_scan(struct trace_reader *r) {
    while (scan_chunk(r)) {
    }
    if (r->cut == 0) r->cut = r->end;
}

// ---- opening and closing

// A text of the header: ends with a NUL, has nothing in it that a terminal would obey.
static void copy_text(char *to, const char *from, size_t size) {
    size_t len = strnlen(from, size - 1);
    for (size_t i = 0; i < len; i++)
        to[i] = from[i] >= ' ' && from[i] < 127 ? from[i] : '?';
    memset(to + len, 0, size - len);
}

static int read_header(struct trace_reader *r, struct rf_error *err) {
    union {
        struct disk_header header;
        uint8_t bytes[TRACE_MAX_HEADER];
    } disk;
    const struct disk_header *h = &disk.header;
    const size_t fixed = offsetof(struct disk_header, start_unix_ns);
    memset(&disk, 0, sizeof disk);
    size_t have = r->size < sizeof disk ? (size_t)r->size : sizeof disk;
    if (read_at(r, &disk, have, 0, err) < 0) return -1;
    if (have < sizeof h->magic || memcmp(h->magic, TRACE_MAGIC, sizeof h->magic) != 0)
        return rf_fail(err, RF_BAD_TRACE,
                       "not a refork trace: '%s' (byte 0 is not the beginning of one); "
                       "give the file that 'refork record' made",
                       r->path);
    if (have < fixed || h->header_size < fixed + sizeof h->crc || h->header_size > sizeof disk)
        return damaged(r, have < fixed ? have : 0, "the header is not complete", err);
    if (have < h->header_size) return damaged(r, have, "the file ends within its header", err);
    uint32_t crc;
    memcpy(&crc, disk.bytes + h->header_size - sizeof crc, sizeof crc);
    if (crc != crc32c(0, &disk, h->header_size - sizeof crc))
        return damaged(r, 0, "the header's checksum is wrong", err);
    copy_text(r->header.refork_version, h->refork_version, sizeof r->header.refork_version);
    if (h->format != TRACE_FORMAT)
        return rf_fail(err, RF_BAD_TRACE,
                       "cannot read trace '%s': made by refork %s, format %u; this refork reads format %u; "
                       "use that version or record the program again",
                       r->path, r->header.refork_version, h->format, TRACE_FORMAT);
    if (h->header_size != sizeof *h) return damaged(r, 12, "the header's size is wrong", err);
    r->header_size = h->header_size;
    r->header.format = h->format;
    r->header.start_unix_ns = h->start_unix_ns;
    r->header.xstate_size = h->xstate_size;
    r->header.paranoid_every = h->paranoid_every;
    r->header.flags = h->flags;
    if (h->cpu_level <= CPU_BEST || h->cpu_level >= CPU_LEVELS)
        return damaged(r, offsetof(struct disk_header, cpu_level), "there is no such kind of CPU", err);
    r->header.cpu.level = (enum cpu_level)h->cpu_level;
    memcpy(r->header.cpu.shown.word, h->cpu_shown, sizeof r->header.cpu.shown.word);
    copy_text(r->header.kernel, h->kernel, sizeof r->header.kernel);
    copy_text(r->header.machine_id, h->machine_id, sizeof r->header.machine_id);
    return 0;
}

static int open_file(struct trace_reader *r, struct rf_error *err) {
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (r->fd < 0 || fstat(r->fd, &st) < 0)
        return rf_fail_errno(err, RF_BAD_TRACE, "cannot open trace '%s'", r->path);
    if (!S_ISREG(st.st_mode))
        return rf_fail(err, RF_BAD_TRACE, "cannot read trace '%s': it is not a regular file", r->path);
    r->size = (uint64_t)st.st_size;
    return 0;
}

int trace_open(const char *path, struct trace_reader **out, struct rf_error *err) {
    struct trace_reader *r = calloc(1, sizeof *r);
    if (!r) return rf_fail_errno(err, RF_CANNOT, "cannot open trace '%s'", path);
    r->fd = -1;
    r->loaded = NO_CHUNK;
    r->next_event = 1;
    r->path = strdup(path);
    r->codec = codec_new();
    r->zstd = ZSTD_createDCtx();
    int result = 0;
    if (!r->path || !r->codec || !r->zstd) {
        errno = ENOMEM;
        result = rf_fail_errno(err, RF_CANNOT, "cannot open trace '%s'", path);
    }
    if (result == 0) result = open_file(r, err);
    if (result == 0) result = read_header(r, err);
    if (result < 0) {
        trace_close(r);
        return -1;
    }
    forget_chunks(r);
    struct rf_error no_index = {0};
    if (open_by_index(r, &no_index) < 0) {
        forget_chunks(r);
        open_by_scan(r);
    }
    *out = r;
    return 0;
}

void trace_close(struct trace_reader *r) {
    if (!r) return;
    forget_chunks(r);
    if (r->fd >= 0) close(r->fd);
    free(r->blobs);
    free(r->chunks);
    free(r->event_chunks);
    free(r->events.stored);
    free(r->events.raw);
    free(r->other.stored);
    free(r->other.raw);
    free(r->path);
    codec_free(r->codec);
    ZSTD_freeDCtx(r->zstd);
    free(r);
}

const struct trace_header *trace_get_header(const struct trace_reader *r) {
    return &r->header;
}

uint64_t trace_last_event(const struct trace_reader *r) {
    return r->last_event;
}

bool trace_truncated(const struct trace_reader *r, uint64_t *at_offset) {
    if (at_offset) *at_offset = r->cut;
    return r->cut != 0;
}

int trace_chunks(const struct trace_reader *r, const struct disk_index_entry **chunks, size_t *count,
                 uint64_t *end, uint64_t *cut, struct rf_error *err) {
    if (r->damage.status != 0) {
        if (err) *err = r->damage;
        return -1;
    }
    *chunks = r->chunks;
    *count = r->chunk_count;
    *end = r->end;
    *cut = r->cut;
    while (*count > 0 && r->chunks[*count - 1].chunk.type == CHUNK_BLOB)
        *end = r->chunks[--*count].offset;
    return 0;
}

void trace_get_sizes(const struct trace_reader *r, struct trace_sizes *out) {
    memset(out, 0, sizeof *out);
    out->file = r->size;
    out->chunks = r->chunk_count;
    for (size_t i = 0; i < r->chunk_count; i++) {
        const struct disk_chunk *c = &r->chunks[i].chunk;
        bool events = c->type == CHUNK_EVENTS;
        *(events ? &out->events_raw : &out->blobs_raw) += c->raw;
        *(events ? &out->events_stored : &out->blobs_stored) += c->stored;
    }
    out->other_stored = r->size - out->events_stored - out->blobs_stored;
}

int trace_verify(struct trace_reader *r, struct rf_error *err) {
    for (size_t i = 0; i < r->chunk_count; i++)
        if (read_stored(r, &r->chunks[i], &r->other, err) < 0) return -1;
    if (r->damage.status == 0) return 0;
    if (err) *err = r->damage;
    return -1;
}

// ---- the cursor ----
// The last chunk that begins at or before event `number`, which is in 1..last.
static size_t find_chunk(const struct trace_reader *r, uint64_t number) {
    size_t low = 0, high = r->event_chunk_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(r->chunks[r->event_chunks[middle]].chunk.first <= number ? &low : &high) = middle;
    }
    return low;
}

static int load_events(struct trace_reader *r, size_t index, struct rf_error *err) {
    const struct disk_index_entry *entry = &r->chunks[r->event_chunks[index]];
    r->loaded = NO_CHUNK;
    if (load(r, entry, &r->events, &r->data, err) < 0) return -1;
    codec_reset(r->codec);
    r->loaded = index;
    r->position = 0;
    r->next_event = entry->chunk.first;
    r->chunk_end = entry->chunk.first + entry->chunk.extra;
    return 0;
}

// Decodes the event at the cursor, which is in the loaded chunk.
static int decode(struct trace_reader *r, struct event *e, struct rf_error *err) {
    const struct disk_index_entry *entry = &r->chunks[r->event_chunks[r->loaded]];
    const size_t at = r->position;
    const char *why;
    int result = codec_decode(r->codec, r->data, entry->chunk.raw, &r->position, e, &why);
    if (result == 0 && r->next_event + 1 == r->chunk_end && r->position != entry->chunk.raw) {
        why = "the chunk does not end with its last event";
        result = -1;
    }
    if (result == 0 && (why = event_fault(e))) result = -1;
    if (result < 0) {
        r->loaded = NO_CHUNK; // the state is lost: the next call begins with the chunk again
        return rf_fail(err, RF_BAD_TRACE,
                       "damaged trace '%s': event %llu, byte %zu of the chunk at byte %llu: %s; "
                       "record the program again",
                       r->path, (unsigned long long)r->next_event, at, (unsigned long long)entry->offset,
                       why);
    }
    e->number = r->next_event++;
    return 0;
}

// Loads the chunk of r->next_event unless it is there, and decodes up to it.
static int reach(struct trace_reader *r, struct rf_error *err) {
    uint64_t number = r->next_event;
    struct event skipped;
    if (load_events(r, find_chunk(r, number), err) < 0) return -1;
    while (r->next_event < number) {
        if (decode(r, &skipped, err) == 0) continue;
        r->next_event = number;
        return -1;
    }
    return 0;
}

int trace_seek(struct trace_reader *r, uint64_t number, struct rf_error *err) {
    if (number == 0 || number > r->last_event + 1)
        return rf_fail(err, RF_CANNOT, "no event %llu in trace '%s': it has events 1 to %llu",
                       (unsigned long long)number, r->path, (unsigned long long)r->last_event);
    struct event skipped;
    if (r->loaded != NO_CHUNK && number >= r->next_event && number < r->chunk_end) {
        while (r->next_event < number)
            if (decode(r, &skipped, err) < 0) return -1;
        return 0;
    }
    r->loaded = NO_CHUNK;
    r->next_event = number;
    return 0;
}

int trace_next(struct trace_reader *r, struct event *e, struct rf_error *err) {
    if (r->next_event > r->last_event) {
        if (r->damage.status == 0) return 0;
        if (err) *err = r->damage;
        return -1;
    }
    if ((r->loaded == NO_CHUNK || r->next_event == r->chunk_end) && reach(r, err) < 0) return -1;
    return decode(r, e, err) < 0 ? -1 : 1;
}

// ---- blobs ----
static struct blob *find_blob(const struct trace_reader *r, uint64_t id) {
    return id >= 1 && id <= r->blob_count ? &r->blobs[id - 1] : NULL;
}

struct disk_blob trace_blob_content(const struct trace_reader *r, uint64_t id) {
    const struct blob *blob = find_blob(r, id);
    rf_assert(blob);
    return blob->content;
}

static int write_at(int fd, const uint8_t *data, size_t len, uint64_t offset) {
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        done += (size_t)n;
    }
    return 0;
}

// Not MFD_NOEXEC_SEAL: replay maps it PROT_EXEC.
static int new_memfd(void) {
    int fd = memfd_create("refork-blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct rlimit limit;
    if (fd >= 0 || errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0) return fd;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return memfd_create("refork-blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

// F_SEAL_WRITE looks first whether anybody still writes: lru_add_drain_all() in the kernel, 2 ms a file here. Nobody does
// who has not been handed fd yet, so new writers are all that is to be kept out. Linux before 5.1 knows F_SEAL_WRITE alone.
static int seal(int fd) {
    const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (fcntl(fd, F_ADD_SEALS, size | F_SEAL_FUTURE_WRITE) == 0) return 0;
    return fcntl(fd, F_ADD_SEALS, size | F_SEAL_WRITE);
}

static int fill_blob(struct trace_reader *r, const struct blob *blob, int fd, XXH3_state_t *state,
                     struct rf_error *err) {
    XXH3_128bits_reset(state);
    uint64_t behind = 0;
    bool failed = ftruncate(fd, (off_t)blob->content.size) < 0;
    for (size_t i = 0; i < blob->chunk_count && !failed; i++) {
        const struct disk_index_entry *entry = &r->chunks[blob->first_chunk + i];
        const uint8_t *payload;
        if (load(r, entry, &r->other, &payload, err) < 0) return -1;
        uint64_t at = entry->chunk.extra;
        if (at != behind) XXH3_128bits_update(state, &at, sizeof at); // where it goes on behind a hole
        behind = at + entry->chunk.raw;
        XXH3_128bits_update(state, payload, entry->chunk.raw);
        // Zeros stay a hole.
        failed = !all_zero(payload, entry->chunk.raw) &&
                 write_at(fd, payload, entry->chunk.raw, entry->chunk.extra) < 0;
    }
    if (failed || seal(fd) < 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot hold file '%s' of the trace in memory", blob->name);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    if (hash.low64 != blob->content.hash_low || hash.high64 != blob->content.hash_high)
        return damaged(r, r->chunks[blob->first_chunk + blob->chunk_count].offset,
                       "a file's content has another hash", err);
    return 0;
}

int trace_blob_fd(struct trace_reader *r, uint64_t id, struct rf_error *err) {
    struct blob *blob = find_blob(r, id);
    if (!blob)
        return rf_fail(err, RF_BAD_TRACE, "no file %llu in trace '%s': it has files 1 to %zu",
                       (unsigned long long)id, r->path, r->blob_count);
    if (blob->fd >= 0) return blob->fd;
    int fd = new_memfd();
    XXH3_state_t *state = XXH3_createState();
    int result = fd < 0 || !state ? rf_fail_errno(err, RF_CANNOT,
                                                  "cannot hold file '%s' of the trace in memory", blob->name)
                                  : fill_blob(r, blob, fd, state, err);
    XXH3_freeState(state);
    if (result < 0) {
        if (fd >= 0) close(fd);
        return -1;
    }
    return blob->fd = fd;
}

bool trace_blob_info(struct trace_reader *r, uint64_t id, const char **name, uint64_t *size) {
    const struct blob *blob = find_blob(r, id);
    if (!blob) return false;
    if (name) *name = blob->name;
    if (size) *size = blob->content.size;
    return true;
}

uint64_t trace_blob_count(const struct trace_reader *r) {
    return r->blob_count;
}

uint64_t trace_blob_by_name(struct trace_reader *r, const char *name) {
    for (uint64_t id = r->blob_count; id > 0; id--)
        if (strcmp(r->blobs[id - 1].name, name) == 0) return id;
    return 0;
}

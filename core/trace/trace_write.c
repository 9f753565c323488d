// The writer: the engine's thread encodes events and hashes files; a helper thread compresses, checksums and
// writes.
//
//   engine:  event -> codec -> job (256 KiB) --.
//            file  -> hash  -> jobs (1 MiB) ----+--> queue (a few MiB) --> helper: zstd, CRC-32C, write(2)
//
// Whatever kills the recorder leaves whole chunks and perhaps half of one behind, at the final name.
#include "core/trace/trace_write.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/trace/trace.h"
#include "core/trace/trace_read.h"

#include "core/trace/crc32c.h"
#include "core/trace/known_blobs.h"
#include "core/trace/trace_job.h"
#include "core/trace/trace_codec.h"
#include "core/trace/trace_format.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#define QUEUE_BYTES (4u << 20)
#define HASH_AT_ONCE                                                                                         \
    (4u << 20)         // files up to this size are read once, larger ones hashed first and read again
#define HIGH_FD    700 // the recorded program must find its fds 3, 4, ... free
#define LEVEL      1   // zstd's
#define LEVEL_FAST -3  // while somebody waits: of libc.so.6 1.6 times as fast, and a quarter more room
#define SETTLED_NS 1000000000ll // a file changed more recently may change again within one tick of its mtime

struct trace_writer {
    int fd;
    char *path;
    struct rf_error error; // once something failed: returned ever after

    struct codec *codec;
    struct job *current; // the EVENTS chunk being filled; NULL: none
    uint64_t events, blobs;
    struct known_blobs known;

    pthread_t helper;
    bool helper_runs;
    pthread_mutex_t mutex;
    pthread_cond_t changed; // of everything down to `closing`
    struct job *first, *last;
    size_t queued; // bytes, those in the helper's hands included
    struct job *spare;
    bool closing;

    // the helper's own, until it has ended
    ZSTD_CCtx *zstd;
    uint8_t *packed;
    size_t packed_capacity;
    struct disk_index_entry *index;
    size_t index_count;
    uint64_t cut;

    atomic_int failed;    // errno of the first failure
    _Atomic uint64_t end; // end of the last whole chunk
};

// ---- the helper thread ----
static int write_all(int fd, struct iovec *iov, int count) {
    while (count > 0) {
        ssize_t n = writev(fd, iov, count);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        for (; count > 0 && (size_t)n >= iov->iov_len; iov++, count--)
            n -= (ssize_t)iov->iov_len;
        if (count > 0) {
            iov->iov_base = (char *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
    return 0;
}

// Remembers the failure and cuts the half-written chunk away, so that the file ends with a whole one.
static void helper_fail(struct trace_writer *w, int error) {
    if (ftruncate(w->fd, (off_t)w->end) < 0) {
        // Nothing is lost: readers cut half a chunk away themselves.
    }
    atomic_store(&w->failed, error);
}

static int reserve(void **buffer, size_t *capacity, size_t need) {
    if (*capacity >= need) return 0;
    void *bigger = realloc(*buffer, need);
    if (!bigger) return -1;
    *buffer = bigger;
    *capacity = need;
    return 0;
}

// The engine waits when much is queued, and at the end: its user waits for the program's prompt then.
static int level_now(struct trace_writer *w) {
    pthread_mutex_lock(&w->mutex);
    bool waited_for = w->closing || w->queued > QUEUE_BYTES / 2;
    pthread_mutex_unlock(&w->mutex);
    return waited_for ? LEVEL_FAST : LEVEL;
}

static int pack(struct trace_writer *w, struct disk_chunk *chunk, const uint8_t **payload) {
    chunk->encoding = CHUNK_RAW;
    chunk->stored = chunk->raw;
    if (chunk->raw < 64) return 0;
    if (reserve((void **)&w->packed, &w->packed_capacity, ZSTD_compressBound(chunk->raw)) < 0) return -1;
    size_t n = ZSTD_compressCCtx(w->zstd, w->packed, w->packed_capacity, *payload, chunk->raw, level_now(w));
    if (ZSTD_isError(n)) return -1;
    if (n >= chunk->raw) return 0;
    chunk->encoding = CHUNK_ZSTD;
    chunk->stored = (uint32_t)n;
    *payload = w->packed;
    return 0;
}

static int remember_chunk(struct trace_writer *w, const struct disk_chunk *chunk) {
    struct disk_index_entry *entry = array_try_add(w->index, w->index_count);
    if (!entry) return -1;
    *entry = (struct disk_index_entry){.offset = w->end, .chunk = *chunk};
    return 0;
}

static void write_chunk(struct trace_writer *w, struct disk_chunk chunk, const uint8_t *payload) {
    if (w->failed) return;
    chunk.magic = CHUNK_MAGIC;
    if (w->index_count == TRACE_MAX_CHUNKS && chunk.type != CHUNK_INDEX) {
        helper_fail(w, EFBIG);
        return;
    }
    if (pack(w, &chunk, &payload) < 0) {
        helper_fail(w, ENOMEM);
        return;
    }
    chunk.crc = crc32c(crc32c(0, &chunk, offsetof(struct disk_chunk, crc)), payload, chunk.stored);
    struct iovec iov[2] = {{&chunk, sizeof chunk}, {(void *)payload, chunk.stored}};
    if (write_all(w->fd, iov, 2) < 0) {
        helper_fail(w, errno);
        return;
    }
    if (chunk.type != CHUNK_INDEX && remember_chunk(w, &chunk) < 0) {
        helper_fail(w, ENOMEM);
        return;
    }
    w->end += sizeof chunk + chunk.stored;
    if (w->packed_capacity > 2 * BLOB_PIECE) {
        free(w->packed);
        w->packed = NULL;
        w->packed_capacity = 0;
    }
}

static void write_index(struct trace_writer *w) {
    uint64_t index_at = w->end;
    struct disk_chunk chunk = {
        .type = CHUNK_INDEX, .raw = (uint32_t)(w->index_count * sizeof *w->index), .first = w->cut};
    write_chunk(w, chunk, (const uint8_t *)w->index);
    if (w->failed) return;
    struct disk_trailer trailer = {.index_offset = index_at, .last_event = w->events};
    memcpy(trailer.magic, TRAILER_MAGIC, sizeof trailer.magic);
    trailer.crc = crc32c(0, &trailer, offsetof(struct disk_trailer, crc));
    struct iovec iov = {&trailer, sizeof trailer};
    if (write_all(w->fd, &iov, 1) < 0) {
        int error = errno;
        w->end = index_at;
        helper_fail(w, error);
        return;
    }
    w->end += sizeof trailer;
}

static struct job *next_job(struct trace_writer *w) {
    while (!w->first && !w->closing)
        pthread_cond_wait(&w->changed, &w->mutex);
    struct job *job = w->first;
    if (!job) return NULL;
    w->first = job->next;
    if (!w->first) w->last = NULL;
    return job;
}

static void *helper_main(void *arg) {
    struct trace_writer *w = arg;
    pthread_mutex_lock(&w->mutex);
    for (struct job *job; (job = next_job(w)) != NULL;) {
        pthread_mutex_unlock(&w->mutex);
        write_chunk(w, job->chunk, job->data);
        pthread_mutex_lock(&w->mutex);
        w->queued -= job->chunk.raw;
        if (job->capacity == BUFFER_SIZE && !w->spare) {
            w->spare = job;
            job = NULL;
        }
        pthread_cond_signal(&w->changed);
        job_free(job);
    }
    pthread_mutex_unlock(&w->mutex);
    write_index(w);
    return NULL;
}

// The caller's own CPUs but the avoided one; if it is pinned there already, whatever else the cpuset allows.
static void keep_off_cpu(pthread_t thread, int cpu) {
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE) return;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return;
    CPU_CLR(cpu, &set);
    if (CPU_COUNT(&set) == 0) {
        memset(&set, 0xff, sizeof set);
        CPU_CLR(cpu, &set);
    }
    // Fails with EINVAL where there is no other CPU: the thread stays where it is.
    pthread_setaffinity_np(thread, sizeof set, &set);
}

static int start_helper(struct trace_writer *w, int cpu_avoid) {
    // All signals are blocked in the helper: the engine waits for them, and write(2) beyond RLIMIT_FSIZE then
    // returns EFBIG instead of ending refork with SIGXFSZ (which the kernel sends to the thread that writes).
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->helper, NULL, helper_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        errno = error;
        return -1;
    }
    w->helper_runs = true;
    keep_off_cpu(w->helper, cpu_avoid);
    return 0;
}

// Waits until the helper has written what is queued, then (unless `abandon`) the index.
static void end_helper(struct trace_writer *w, bool abandon) {
    if (abandon) atomic_store(&w->failed, ECANCELED);
    pthread_mutex_lock(&w->mutex);
    w->closing = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->helper, NULL);
    w->helper_runs = false;
}

// ---- the engine's side of the queue ----
static int writer_error(struct trace_writer *w, struct rf_error *err) {
    if (w->error.status == 0) {
        int error = w->failed;
        const char *remedy = error == ENOSPC || error == EDQUOT ? "free some space or choose another place"
                             : error == EFBIG                   ? "raise the limit on file sizes (ulimit -f)"
                                                                : "choose another place";
        rf_fail(&w->error, RF_CANNOT,
                "cannot write trace '%s' beyond byte %llu: %s; %s (what was written is readable)", w->path,
                (unsigned long long)w->end, strerror(error), remedy);
    }
    if (err) *err = w->error;
    return -1;
}

static struct job *new_job(struct trace_writer *w, size_t capacity) {
    struct job *job = NULL;
    if (capacity == BUFFER_SIZE) {
        pthread_mutex_lock(&w->mutex);
        job = w->spare;
        w->spare = NULL;
        pthread_mutex_unlock(&w->mutex);
    }
    if (!job) job = job_new(capacity);
    if (!job) {
        atomic_store(&w->failed, ENOMEM);
        return NULL;
    }
    job->next = NULL;
    memset(&job->chunk, 0, sizeof job->chunk);
    return job;
}

// Takes the job over; waits while too much is queued.
static void push_job(struct trace_writer *w, struct job *job) {
    pthread_mutex_lock(&w->mutex);
    while (w->queued > 0 && w->queued + job->chunk.raw > QUEUE_BYTES)
        pthread_cond_wait(&w->changed, &w->mutex);
    w->queued += job->chunk.raw;
    if (w->last)
        w->last->next = job;
    else
        w->first = job;
    w->last = job;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

int trace_flush(struct trace_writer *w, struct rf_error *err) {
    if (w->failed) return writer_error(w, err);
    if (w->current) {
        push_job(w, w->current);
        w->current = NULL;
        codec_reset(w->codec);
    }
    return 0;
}

// Room for `bound` more bytes in the current chunk.
static int make_room(struct trace_writer *w, size_t bound, struct rf_error *err) {
    size_t used = w->current ? w->current->chunk.raw : 0;
    if (used > 0 && (used + bound > BUFFER_SIZE || codec_full(w->codec))) {
        if (trace_flush(w, err) < 0) return -1;
    }
    if (!w->current) {
        w->current = new_job(w, bound > BUFFER_SIZE ? bound : BUFFER_SIZE);
        if (!w->current) return writer_error(w, err);
        w->current->chunk.type = CHUNK_EVENTS;
        w->current->chunk.first = w->events + 1;
    }
    return 0;
}

int trace_append(struct trace_writer *w, struct event *e, struct rf_error *err) {
    if (w->failed) return writer_error(w, err);
    size_t bound = codec_bound(e);
    if (bound > EVENTS_MAX_RAW)
        return rf_fail(err, RF_CANNOT,
                       "event of %zu pieces too large: a trace can hold %u MiB and %u pieces an event",
                       e->piece_count, EVENTS_MAX_RAW >> 20, EVENT_MAX_PIECES);
    if (make_room(w, bound, err) < 0) return -1;
    struct disk_chunk *chunk = &w->current->chunk;
    uint8_t *end = codec_encode(w->codec, e, w->current->data + chunk->raw);
    if (!end) {
        atomic_store(&w->failed, ENOMEM);
        return writer_error(w, err);
    }
    chunk->raw = (uint32_t)(end - w->current->data);
    chunk->extra++;
    e->number = ++w->events;
    return chunk->raw >= EVENTS_CHUNK ? trace_flush(w, err) : 0;
}

// ---- blobs ----
static uint64_t nanoseconds(const struct timespec *t) {
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

static struct job *blob_job(struct trace_writer *w, uint64_t offset, size_t len) {
    struct job *job = new_job(w, len);
    if (!job) return NULL;
    job->chunk.type = CHUNK_BLOB;
    job->chunk.first = w->blobs + 1;
    job->chunk.extra = offset;
    job->chunk.raw = (uint32_t)len;
    return job;
}

// Completes the blob of which all pieces were pushed.
static int finish_blob(struct trace_writer *w, uint64_t size, XXH128_hash_t hash, const char *name,
                       uint64_t *id, struct rf_error *err) {
    struct disk_blob info = {.size = size, .hash_low = hash.low64, .hash_high = hash.high64};
    size_t name_len = strnlen(name, BLOB_MAX_NAME);
    struct job *job = new_job(w, sizeof info + name_len);
    if (!job) return writer_error(w, err);
    job->chunk.type = CHUNK_BLOB_INFO;
    job->chunk.first = ++w->blobs;
    job->chunk.raw = (uint32_t)(sizeof info + name_len);
    memcpy(job->data, &info, sizeof info);
    memcpy(job->data + sizeof info, name, name_len);
    push_job(w, job);
    *id = w->blobs;
    known_add(&w->known, CONTENT_KEY(size, hash), *id);
    return 0;
}

static int check_blob(struct trace_writer *w, uint64_t size, const char *name, struct rf_error *err) {
    if (w->failed) return writer_error(w, err);
    if (size > BLOB_MAX_SIZE)
        return rf_fail(err, RF_CANNOT, "file '%s' too large: a trace can hold files of up to %llu TiB", name,
                       BLOB_MAX_SIZE >> 40);
    if (w->blobs == BLOB_MAX_COUNT)
        return rf_fail(err, RF_CANNOT, "cannot store file '%s': a trace can hold %u different files", name,
                       BLOB_MAX_COUNT);
    return 0;
}

int trace_add_bytes(struct trace_writer *w, const void *data, size_t len, const char *name, uint64_t *id,
                    struct rf_error *err) {
    if (check_blob(w, len, name, err) < 0) return -1;
    XXH128_hash_t hash = XXH3_128bits(data, len);
    if ((*id = known_find(&w->known, CONTENT_KEY(len, hash))) != 0) return 0;
    for (size_t at = 0; at < len;) {
        size_t n = len - at < BLOB_PIECE ? len - at : BLOB_PIECE;
        struct job *job = blob_job(w, at, n);
        if (!job) return writer_error(w, err);
        memcpy(job->data, (const char *)data + at, n);
        push_job(w, job);
        at += n;
    }
    return finish_blob(w, len, hash, name, id, err);
}

// Reads up to `len` bytes; fewer only at the end of the file. -1 with errno.
static ssize_t read_piece(int fd, void *buffer, size_t len, uint64_t offset) {
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, (char *)buffer + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int cannot_read(const char *name, struct rf_error *err) {
    return rf_fail_errno(err, RF_CANNOT, "cannot read file '%s' into the trace", name);
}

// The pieces of a file that is read once, until it is known whether they are stored already.
struct pieces {
    struct job *job[HASH_AT_ONCE / BLOB_PIECE + 1];
    size_t count;
};

static void pieces_free(struct pieces *p) {
    for (size_t i = 0; i < p->count; i++)
        job_free(p->job[i]);
}

// Reads the file and hashes it. *size: what it was, and then how many bytes there are.
static int read_pieces(struct trace_writer *w, int fd, uint64_t *size, struct pieces *p, XXH3_state_t *state,
                       const char *name, struct rf_error *err) {
    uint64_t at = 0;
    XXH3_128bits_reset(state);
    while (at < *size) {
        size_t want = *size - at < BLOB_PIECE ? *size - at : BLOB_PIECE;
        struct job *job = blob_job(w, at, want);
        if (!job) return writer_error(w, err);
        p->job[p->count++] = job;
        ssize_t n = read_piece(fd, job->data, want, at);
        if (n < 0) return cannot_read(name, err);
        if (n == 0) job_free(p->job[--p->count]);
        if (n == 0) break;
        XXH3_128bits_update(state, job->data, (size_t)n);
        job->chunk.raw = (uint32_t)n;
        at += (uint64_t)n;
        if ((size_t)n < want) break;
    }
    *size = at;
    return 0;
}

static int add_small_file(struct trace_writer *w, int fd, uint64_t size, const char *name, uint64_t *id,
                          struct rf_error *err) {
    struct pieces p = {.count = 0};
    XXH3_state_t *state = XXH3_createState();
    if (!state) return rf_fail_errno(err, RF_CANNOT, "cannot store file '%s'", name);
    int result = read_pieces(w, fd, &size, &p, state, name, err);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    if (result == 0 && (*id = known_find(&w->known, CONTENT_KEY(size, hash))) == 0) {
        for (size_t i = 0; i < p.count; i++)
            push_job(w, p.job[i]);
        return finish_blob(w, size, hash, name, id, err);
    }
    pieces_free(&p);
    return result;
}

// The bytes of a file that are stored, in order: *at is moved to the next of them, and *end behind the stretch that has no hole.
// False: there are no more. A file system that does not tell of holes has none.
static bool next_data(int fd, uint64_t size, uint64_t *at, uint64_t *end) {
    off_t data = lseek(fd, (off_t)*at, SEEK_DATA);
    if (*at >= size || (data < 0 && errno == ENXIO)) return false;
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (data >= 0) *at = (uint64_t)data;
    *end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
    return *at < *end;
}

// The hash of a large file, to find out whether it is stored already. Where a hole ends its offset is hashed as well.
static int hash_file(int fd, uint64_t size, XXH3_state_t *state, XXH128_hash_t *hash) {
    void *buffer = malloc(BLOB_PIECE);
    if (!buffer) return -1;
    XXH3_128bits_reset(state);
    uint64_t at = 0, end, behind = 0;
    ssize_t n = 0;
    while (n >= 0 && next_data(fd, size, &at, &end)) {
        if (at != behind) XXH3_128bits_update(state, &at, sizeof at);
        while (at < end &&
               (n = read_piece(fd, buffer, end - at < BLOB_PIECE ? end - at : BLOB_PIECE, at)) > 0) {
            XXH3_128bits_update(state, buffer, (size_t)n);
            at += (uint64_t)n;
        }
        if (n == 0) break;
        behind = at;
    }
    free(buffer);
    *hash = XXH3_128bits_digest(state);
    return n < 0 ? -1 : 0;
}

struct large_file {
    int fd;
    uint64_t size;
    const char *name; // for messages
    XXH3_state_t *state;
};

// One stretch without holes. *at: behind what was stored. -1: failed.
static int store_stretch(struct trace_writer *w, const struct large_file *f, uint64_t *at, uint64_t end,
                         struct rf_error *err) {
    while (*at < end && !w->failed) {
        size_t want = end - *at < BLOB_PIECE ? end - *at : BLOB_PIECE;
        struct job *job = blob_job(w, *at, want);
        if (!job) break;
        ssize_t n = read_piece(f->fd, job->data, want, *at);
        if (n <= 0) {
            job_free(job);
            if (n == 0) break;
            // Pieces of a blob that will never be completed must not be followed by anything: end here.
            atomic_store(&w->failed, errno);
            return cannot_read(f->name, err);
        }
        XXH3_128bits_update(f->state, job->data, (size_t)n);
        job->chunk.raw = (uint32_t)n;
        push_job(w, job);
        *at += (uint64_t)n;
    }
    return 0;
}

static int store_large_file(struct trace_writer *w, const struct large_file *f, uint64_t *id,
                            struct rf_error *err) {
    // Hashed again while it is stored: it may have changed since.
    XXH3_128bits_reset(f->state);
    uint64_t at = 0, end, behind = 0;
    while (!w->failed && next_data(f->fd, f->size, &at, &end)) {
        if (at != behind) XXH3_128bits_update(f->state, &at, sizeof at);
        if (store_stretch(w, f, &at, end, err) < 0) return -1;
        behind = at;
        if (at < end) break; // it was cut meanwhile
    }
    if (w->failed) return writer_error(w, err);
    return finish_blob(w, f->size, XXH3_128bits_digest(f->state), f->name, id, err);
}

static int add_large_file(struct trace_writer *w, int fd, uint64_t size, const char *name, uint64_t *id,
                          struct rf_error *err) {
    XXH3_state_t *state = XXH3_createState();
    if (!state) return rf_fail_errno(err, RF_CANNOT, "cannot store file '%s'", name);
    XXH128_hash_t hash;
    int result = hash_file(fd, size, state, &hash);
    if (result < 0)
        cannot_read(name, err);
    else if ((*id = known_find(&w->known, CONTENT_KEY(size, hash))) == 0)
        result = store_large_file(w, &(struct large_file){fd, size, name, state}, id, err);
    XXH3_freeState(state);
    return result;
}

int trace_add_file(struct trace_writer *w, int fd, const char *name, uint64_t *id, struct rf_error *err) {
    struct stat st;
    if (fstat(fd, &st) < 0) return cannot_read(name, err);
    if (!S_ISREG(st.st_mode))
        return rf_fail(err, RF_CANNOT, "cannot store '%s' in the trace: it is not a regular file", name);
    uint64_t size = (uint64_t)st.st_size;
    if (check_blob(w, size, name, err) < 0) return -1;
    uint64_t ctime = nanoseconds(&st.st_ctim);
    uint64_t key[5] = {st.st_dev, st.st_ino, size, nanoseconds(&st.st_mtim), ctime};
    if ((*id = known_find(&w->known, key)) != 0) return 0;
    uint64_t now = clock_ns(CLOCK_REALTIME);
    off_t position = lseek(fd, 0, SEEK_CUR); // the descriptor may be a copy of the program's
    int result = size <= HASH_AT_ONCE ? add_small_file(w, fd, size, name, id, err)
                                      : add_large_file(w, fd, size, name, id, err);
    if (position >= 0) lseek(fd, position, SEEK_SET);
    if (result == 0 && (int64_t)(now - ctime) > SETTLED_NS) known_add(&w->known, key, *id);
    return result;
}

// ---- beginning and end ----
static void writer_free(struct trace_writer *w) {
    if (!w) return;
    if (w->helper_runs) end_helper(w, true);
    for (struct job *job = w->first, *next; job; job = next) {
        next = job->next;
        job_free(job);
    }
    job_free(w->spare);
    job_free(w->current);
    known_free(&w->known);
    free(w->index);
    free(w->packed);
    ZSTD_freeCCtx(w->zstd);
    codec_free(w->codec);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    if (w->fd >= 0) close(w->fd);
    free(w->path);
    free(w);
}

static struct trace_writer *writer_new(const char *path) {
    struct trace_writer *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->fd = -1;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->path = strdup(path);
    w->codec = codec_new();
    w->zstd = ZSTD_createCCtx();
    if (w->path && w->codec && w->zstd) return w;
    writer_free(w);
    errno = ENOMEM;
    return NULL;
}

static int move_high(int fd) {
    if (fd < 0) return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD); // EINVAL: beyond RLIMIT_NOFILE
    if (high < 0) return fd;
    close(fd);
    return high;
}

static void fill_header(const struct trace_header *from, struct disk_header *to) {
    memset(to, 0, sizeof *to);
    memcpy(to->magic, TRACE_MAGIC, sizeof to->magic);
    to->format = TRACE_FORMAT;
    to->header_size = sizeof *to;
    static_assert(sizeof to->refork_version == sizeof from->refork_version, "copied whole");
    static_assert(sizeof to->kernel == sizeof from->kernel, "copied whole");
    static_assert(sizeof to->machine_id == sizeof from->machine_id, "copied whole");
    static_assert(sizeof to->cpu_shown == sizeof from->cpu.shown.word, "copied whole");
    memcpy(to->refork_version, from->refork_version,
           strnlen(from->refork_version, sizeof to->refork_version - 1));
    memcpy(to->kernel, from->kernel, strnlen(from->kernel, sizeof to->kernel - 1));
    memcpy(to->machine_id, from->machine_id, strnlen(from->machine_id, sizeof to->machine_id - 1));
    memcpy(to->cpu_shown, from->cpu.shown.word, sizeof to->cpu_shown);
    to->cpu_level = from->cpu.level;
    to->start_unix_ns = from->start_unix_ns;
    to->xstate_size = from->xstate_size;
    to->paranoid_every = from->paranoid_every;
    to->flags = from->flags;
    to->crc = crc32c(0, to, offsetof(struct disk_header, crc));
}

// In the caller's thread, where SIGXFSZ is not blocked: blocks it, and takes it away if the write raised it.
static int write_header(struct trace_writer *w, const struct trace_header *header) {
    struct disk_header disk;
    fill_header(header, &disk);
    struct iovec iov = {&disk, sizeof disk};
    sigset_t xfsz, before;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &xfsz, &before);
    int result = write_all(w->fd, &iov, 1);
    int error = errno;
    if (result < 0 && error == EFBIG) sigtimedwait(&xfsz, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    w->end = sizeof disk;
    return result;
}

// Opens what the trace is written to. *temporary: the name to rename to w->path once the header is written;
// NULL when the file is written in place (devices, pipes; a folder in which no file can be made).
static int open_output(struct trace_writer *w, char **temporary) {
    *temporary = NULL;
    struct stat st;
    bool exists = stat(w->path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) return open(w->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (exists) {
        char *real = realpath(w->path, NULL); // replace what a symbolic link points to, not the link
        if (!real) return -1;
        free(w->path);
        w->path = real;
    }
    if (asprintf(temporary, "%s.%d.tmp", w->path, (int)getpid()) < 0) {
        *temporary = NULL;
        return -1;
    }
    int fd = open(*temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 || !exists || (errno != EACCES && errno != EPERM)) return fd;
    free(*temporary);
    *temporary = NULL;
    return open(w->path, O_RDWR | O_TRUNC | O_CLOEXEC);
}

int trace_create(const char *path, const struct trace_header *header, int cpu_avoid,
                 struct trace_writer **out, struct rf_error *err) {
    struct trace_writer *w = writer_new(path);
    if (!w) return rf_fail_errno(err, RF_CANNOT, "cannot create trace '%s'", path);
    char *temporary;
    w->fd = move_high(open_output(w, &temporary));
    // The lock tells trace_amend that the recording goes on; it ends with the recorder.
    bool ok = w->fd >= 0 && (flock(w->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
              write_header(w, header) == 0 && (!temporary || rename(temporary, w->path) == 0);
    if (!ok) {
        rf_fail_errno(err, RF_CANNOT, "cannot create trace '%s'", path);
        if (temporary && w->fd >= 0) unlink(temporary);
    } else if (start_helper(w, cpu_avoid) < 0) {
        rf_fail_errno(err, RF_CANNOT, "cannot start the thread that writes trace '%s'", path);
        ok = false;
    }
    free(temporary);
    if (!ok) {
        writer_free(w);
        return -1;
    }
    *out = w;
    return 0;
}

int trace_finish(struct trace_writer *w, struct rf_error *err) {
    int result = trace_flush(w, err);
    end_helper(w, false);
    if (result == 0 && w->failed) result = writer_error(w, err);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) < 0 && result == 0) // EDQUOT, EIO of network file systems
        result = rf_fail_errno(err, RF_CANNOT, "cannot finish trace '%s'", w->path);
    writer_free(w);
    return result;
}

// Takes over what the reader knows of the file, which is then cut behind its last whole chunk.
static int adopt(struct trace_writer *w, struct trace_reader *r, struct rf_error *err) {
    const struct disk_index_entry *chunks;
    size_t count;
    uint64_t end;
    if (trace_chunks(r, &chunks, &count, &end, &w->cut, err) < 0) return -1;
    for (size_t i = 0; i < count; i++) {
        w->end = chunks[i].offset;
        if (remember_chunk(w, &chunks[i].chunk) < 0) {
            errno = ENOMEM;
            return rf_fail_errno(err, RF_CANNOT, "cannot amend trace '%s'", w->path);
        }
    }
    w->end = end;
    w->events = trace_last_event(r);
    w->blobs = trace_blob_count(r);
    for (uint64_t id = 1; id <= w->blobs; id++) {
        struct disk_blob blob = trace_blob_content(r, id);
        XXH128_hash_t hash = {.low64 = blob.hash_low, .high64 = blob.hash_high};
        known_add(&w->known, CONTENT_KEY(blob.size, hash), id);
    }
    if (start_helper(w, -1) < 0 || ftruncate(w->fd, (off_t)end) < 0 || lseek(w->fd, (off_t)end, SEEK_SET) < 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot amend trace '%s'", w->path);
    return 0;
}

int trace_amend(const char *path, struct trace_writer **out, struct rf_error *err) {
    struct trace_writer *w = writer_new(path);
    if (!w) return rf_fail_errno(err, RF_CANNOT, "cannot amend trace '%s'", path);
    struct trace_reader *r = NULL;
    w->fd = move_high(open(path, O_RDWR | O_CLOEXEC));
    int result = -1;
    if (w->fd < 0)
        rf_fail_errno(err, RF_CANNOT, "cannot amend trace '%s'", path);
    else if (flock(w->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        rf_fail(err, RF_CANNOT, "trace '%s' in use: it is still being written; wait for that to end", path);
    else if (trace_open(path, &r, err) == 0)
        result = adopt(w, r, err);
    trace_close(r);
    if (result < 0)
        writer_free(w);
    else
        *out = w;
    return result;
}

uint64_t trace_written_bytes(const struct trace_writer *w) {
    return w->end;
}

uint64_t trace_event_count(const struct trace_writer *w) {
    return w->events;
}

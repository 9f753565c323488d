// Mutates a trace and reads the result, many times over, in one process.
//
//   mutate FILE SEED COUNT     mutants SEED .. SEED+COUNT-1 of FILE; `mutate FILE SEED 1` repeats one
//   mutate --make FILE         writes a small trace with events and pieces of all kinds to begin with
//
// A mutant must be read to its end or be refused with a status and a text; a crash, a sanitizer's report or a
// mutant that takes longer than a minute ends the program with the seed that repeats it.
//
// To build: link with everything but cli/, sanitizers on, in a build folder of its own:
//   gcc -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -fsanitize=address,undefined -fno-sanitize-recover=all
//   tests/fuzz/mutate.c
//       core/{trace_read,trace_write,trace_codec,crc32c,dump,error,event,syscalls*,...}.c -lzstd -lxxhash
//       -ljansson -lpthread
//
// Half of the mutants are made below the checksums (payloads unpacked, changed, packed again, CRCs and mostly
// the index put right), so that the decoder meets them; the others are changes to the bytes of the file.
#include "core/trace/crc32c.h"
#include "core/trace/dump.h"
#include "core/trace/trace.h"
#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"
#include "core/trace/trace_format.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static const char *file_name;
static unsigned long long current_seed;

static uint64_t state;
static uint64_t rng(void) {
    state += 0x9e3779b97f4a7c15ull;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static size_t below(size_t n) {
    return n ? rng() % n : 0;
}

static void die(const char *what) {
    fprintf(stderr, "mutate: %s; repeat with: mutate '%s' %llu 1\n", what, file_name, current_seed);
    abort();
}

// ---- growing bytes ----
struct bytes {
    uint8_t *data;
    size_t len, capacity;
};

static void append(struct bytes *b, const void *data, size_t len) {
    if (b->len + len > b->capacity) {
        b->capacity = 2 * (b->len + len) + 64;
        b->data = realloc(b->data, b->capacity);
        if (!b->data) die("out of memory");
    }
    if (len > 0) memcpy(b->data + b->len, data, len);
    b->len += len;
}

// Replaces `cut` bytes at `at` by `len` bytes of `data`.
static void replace(struct bytes *b, size_t at, size_t cut, const void *data, size_t len) {
    struct bytes result = {0};
    append(&result, b->data, at);
    append(&result, data, len);
    append(&result, b->data + at + cut, b->len - at - cut);
    free(b->data);
    *b = result;
}

static uint64_t interesting(void) {
    static const uint64_t values[] = {0,          1,          2,          3,         0x7f,       0x80,
                                      0xff,       0x100,      0xffff,     0x10000,   0x7fffffff, 0x80000000,
                                      0xffffffff, 1ull << 32, 40,         256,       1u << 20,   64u << 20,
                                      INT64_MAX,  1ull << 63, UINT64_MAX, 4ull << 30};
    uint64_t value = values[below(sizeof values / sizeof *values)];
    return rng() % 3 == 0 ? value - 1 + rng() % 3 : value;
}

static void mutate_bytes(struct bytes *b) {
    if (b->len == 0) return;
    uint64_t value = interesting();
    size_t at = below(b->len), room = b->len - at, len = below(room < 64 ? room : 64);
    uint8_t copy[64];
    switch (rng() % 8) {
    case 0:
    case 1:
        b->data[at] ^= (uint8_t)(1u << rng() % 8);
        break;
    case 2:
        b->data[at] = (uint8_t)rng();
        break;
    case 3:
        memcpy(b->data + at, &value, room < 4 ? room : 4);
        break;
    case 4:
        memcpy(b->data + at, &value, room < 8 ? room : 8);
        break;
    case 5:
        b->len = at;
        break;
    case 6:
        replace(b, at, len, NULL, 0);
        break;
    default: // a piece of itself, put in or written over
        memcpy(copy, b->data + at, len);
        size_t to = below(b->len - len + 1);
        replace(b, to, rng() % 2 ? len : 0, copy, len);
    }
}

// ---- the trace to begin with, taken apart ----
struct part {
    struct disk_chunk chunk;
    struct bytes payload;  // unpacked
    const uint8_t *stored; // as in the file
};

struct trace {
    struct bytes file;
    struct disk_header header;
    struct part *parts; // without the index
    size_t count;
};

static struct bytes unpack(const struct disk_chunk *c, const uint8_t *stored) {
    struct bytes raw = {0};
    if (c->encoding == CHUNK_RAW) {
        append(&raw, stored, c->stored);
        return raw;
    }
    raw.data = malloc(c->raw + 1);
    raw.len = raw.capacity = c->raw;
    if (!raw.data || ZSTD_decompress(raw.data, c->raw, stored, c->stored) != c->raw)
        die("the trace to begin with is damaged");
    return raw;
}

static void take_apart(struct trace *t, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size < sizeof t->header)
        die("cannot open the trace to begin with");
    t->file.data = malloc((size_t)st.st_size);
    t->file.len = (size_t)st.st_size;
    if (!t->file.data || read(fd, t->file.data, t->file.len) != st.st_size)
        die("cannot read the trace to begin with");
    close(fd);
    memcpy(&t->header, t->file.data, sizeof t->header);
    for (size_t at = sizeof t->header; at + sizeof(struct disk_chunk) <= t->file.len;) {
        struct disk_chunk c;
        memcpy(&c, t->file.data + at, sizeof c);
        at += sizeof c;
        if (c.magic != CHUNK_MAGIC || c.stored > t->file.len - at) die("the trace to begin with is damaged");
        if (c.type == CHUNK_INDEX) break;
        t->parts = realloc(t->parts, (t->count + 1) * sizeof *t->parts);
        if (!t->parts) die("out of memory");
        t->parts[t->count++] = (struct part){c, unpack(&c, t->file.data + at), t->file.data + at};
        at += c.stored;
    }
}

// ---- mutants ----
static void mutate_chunk(struct disk_chunk *c) {
    switch (rng() % 6) {
    case 0:
        c->type = (uint16_t)(rng() % 6);
        break;
    case 1:
        c->encoding = (uint16_t)(rng() % 3);
        break;
    case 2:
        c->stored = (uint32_t)interesting();
        break;
    case 3:
        c->raw = (uint32_t)interesting();
        break;
    case 4:
        c->first += rng() % 2 ? interesting() : rng() % 3 - 1;
        break;
    default:
        c->extra += rng() % 2 ? interesting() : rng() % 3 - 1;
    }
}

// Writes a chunk with a right checksum, its payload packed again or left as it is; `twist` spoils the header
// before that.
static struct disk_index_entry put_chunk(struct bytes *out, struct disk_chunk c, const struct bytes *payload,
                                         bool twist) {
    uint8_t *packed = NULL;
    const uint8_t *stored = payload->data;
    c.magic = CHUNK_MAGIC;
    c.raw = c.stored = (uint32_t)payload->len;
    c.encoding = CHUNK_RAW;
    if (rng() % 2 && payload->len > 0) {
        size_t bound = ZSTD_compressBound(payload->len);
        packed = malloc(bound);
        if (!packed) die("out of memory");
        size_t n = ZSTD_compress(packed, bound, payload->data, payload->len, 1);
        if (!ZSTD_isError(n) && n < payload->len) {
            c.encoding = CHUNK_ZSTD;
            c.stored = (uint32_t)n;
            stored = packed;
        }
    }
    size_t len = c.stored;
    if (twist) mutate_chunk(&c);
    c.crc = crc32c(0, &c, offsetof(struct disk_chunk, crc));
    c.crc = crc32c(c.crc, stored, c.stored < len ? c.stored : len);
    struct disk_index_entry entry = {.offset = out->len, .chunk = c};
    append(out, &c, sizeof c);
    append(out, stored, len);
    free(packed);
    return entry;
}

static void put_end(struct bytes *out, struct bytes *index, uint64_t last_event) {
    uint64_t index_at = out->len;
    for (int n = rng() % 8 == 0 ? 3 : 0; n > 0; n--)
        mutate_bytes(index);
    put_chunk(out, (struct disk_chunk){.type = CHUNK_INDEX}, index, rng() % 16 == 0);
    struct disk_trailer trailer = {.index_offset = index_at, .last_event = last_event};
    memcpy(trailer.magic, TRAILER_MAGIC, sizeof trailer.magic);
    if (rng() % 16 == 0) trailer.index_offset += interesting();
    if (rng() % 16 == 0) trailer.last_event = interesting();
    trailer.crc = crc32c(0, &trailer, offsetof(struct disk_trailer, crc));
    append(out, &trailer, sizeof trailer);
}

static struct bytes mutate_below_checksums(const struct trace *t) {
    struct bytes out = {0}, index = {0};
    struct disk_header header = t->header;
    if (rng() % 32 == 0) ((uint8_t *)&header)[below(sizeof header)] ^= (uint8_t)rng();
    header.crc = crc32c(0, &header, offsetof(struct disk_header, crc));
    append(&out, &header, sizeof header);
    uint64_t last_event = 0;
    const size_t victim = below(t->count);
    const unsigned how = rng() % 8;
    for (size_t i = 0; i < t->count; i++) {
        const struct part *part =
            &t->parts[i == victim && how == 0 ? below(t->count) : i]; // replaced by another
        if (i == victim && how == 1) continue;                        // left out
        struct disk_index_entry entry = {.offset = out.len, .chunk = part->chunk};
        if (i == victim && how > 1) {
            struct bytes payload = {0};
            append(&payload, part->payload.data, part->payload.len);
            for (size_t n = how > 2 ? 1 + below(4) : 0; n > 0; n--)
                mutate_bytes(&payload);
            entry = put_chunk(&out, part->chunk, &payload, how == 2);
            free(payload.data);
        } else {
            append(&out, &part->chunk, sizeof part->chunk);
            append(&out, part->stored, part->chunk.stored);
        }
        append(&index, &entry, sizeof entry);
        if (entry.chunk.type == CHUNK_EVENTS) last_event += entry.chunk.extra;
    }
    if (rng() % 4) put_end(&out, &index, last_event);
    free(index.data);
    return out;
}

static struct bytes mutate_file(const struct trace *t) {
    struct bytes out = {0};
    append(&out, t->file.data, t->file.len);
    for (size_t n = 1 + below(4); n > 0; n--)
        mutate_bytes(&out);
    return out;
}

// ---- reading a mutant ----
static volatile uint8_t sink;

static void touch(const struct event *e) {
    if (e->kind == EV_NONE || e->kind >= EV_KINDS) die("an event of no kind");
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind == PIECE_NONE || p->kind >= PIECE_KINDS || !p->data != !p->len) die("a piece of no kind");
        for (size_t at = 0; at < p->len; at += at + 64 < p->len ? 64 : 1)
            sink ^= ((const uint8_t *)p->data)[at];
    }
}

static void expect_reason(const struct rf_error *err) {
    if ((err->status != RF_BAD_TRACE && err->status != RF_CANNOT) || err->text[0] == 0)
        die("an error without a reason");
}

static void read_events(struct trace_reader *r, uint64_t from) {
    struct rf_error err = {0};
    struct event e;
    uint64_t number = from;
    int more;
    if (trace_seek(r, from, &err) < 0) die("no seek to an event that is there");
    for (; (more = trace_next(r, &e, &err)) == 1; number++) {
        if (e.number != number) die("events out of order");
        touch(&e);
    }
    if (more < 0)
        expect_reason(&err);
    else if (number != trace_last_event(r) + 1)
        die("fewer events than promised");
}

// Seeks that stay within the chunk that is loaded, or leave it, forward and back.
static void jump(struct trace_reader *r) {
    struct event e;
    for (int i = 0; i < 20; i++) {
        struct rf_error err = {0};
        uint64_t number = 1 + below(trace_last_event(r) + 1);
        int more = trace_seek(r, number, &err) < 0 ? -1 : trace_next(r, &e, &err);
        if (more < 0)
            expect_reason(&err);
        else if (more == 1 && e.number != number)
            die("a seek to another event");
    }
}

static void read_blobs(struct trace_reader *r) {
    for (uint64_t id = 0; id <= trace_blob_count(r) + 1; id++) {
        struct rf_error err = {0};
        const char *name;
        uint64_t size;
        bool known = trace_blob_info(r, id, &name, &size);
        if (known) sink ^= (uint8_t)trace_blob_by_name(r, name);
        int fd = trace_blob_fd(r, id, &err);
        struct stat st;
        if (fd < 0)
            expect_reason(&err);
        else if (!known || fstat(fd, &st) < 0 || (uint64_t)st.st_size != size)
            die("a file of another size");
    }
}

static void read_all(const char *path, FILE *null) {
    struct rf_error err = {0};
    struct trace_reader *r;
    if (trace_open(path, &r, &err) < 0) {
        expect_reason(&err);
        return;
    }
    read_events(r, 1);
    for (int i = 0; i < 3; i++)
        read_events(r, 1 + below(trace_last_event(r) + 1));
    jump(r);
    read_blobs(r);
    if (dump_events(null, r, 0, 0, 0, &err) < 0) expect_reason(&err);
    if (dump_info(null, path, r, &err) < 0) expect_reason(&err);
    if (dump_info_json(null, path, r, &err) < 0) expect_reason(&err);
    trace_close(r);
}

// What can be amended can be read afterwards, with what was added.
static void amend(const char *path) {
    struct rf_error err = {0};
    struct trace_writer *w;
    uint64_t id;
    if (trace_amend(path, &w, &err) < 0) {
        expect_reason(&err);
        return;
    }
    struct trace_reader *r = NULL;
    if (trace_add_bytes(w, "amended", 7, "source:amended", &id, &err) < 0 || trace_finish(w, &err) < 0 ||
        trace_open(path, &r, &err) < 0 || trace_blob_by_name(r, "source:amended") == 0 ||
        trace_blob_fd(r, id, &err) < 0)
        die(err.text[0] ? err.text : "an amended trace has lost what was added");
    trace_close(r);
}

static void run(const struct trace *t, uint64_t seed, FILE *null) {
    current_seed = seed;
    state = seed;
    alarm(60);
    struct bytes mutant = rng() % 2 ? mutate_below_checksums(t) : mutate_file(t);
    int fd = memfd_create("mutant", MFD_CLOEXEC);
    if (fd < 0 || write(fd, mutant.data, mutant.len) != (ssize_t)mutant.len) die("cannot write a mutant");
    free(mutant.data);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_all(path, null);
    if (rng() % 8 == 0) amend(path);
    close(fd);
    alarm(0);
}

// ---- a small trace to begin with ----
static int make(const char *path) {
    static const struct trace_header header = {
        .refork_version = "fuzz", .kernel = "kernel", .machine_id = "machine", .cpu.level = CPU_NATIVE};
    struct rf_error err = {0};
    struct trace_writer *w;
    if (trace_create(path, &header, -1, &w, &err) < 0) goto failed;
    uint8_t data[1 << 12];
    uint64_t id;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)rng();
    if (trace_add_bytes(w, data, sizeof data, "/bin/program", &id, &err) < 0) goto failed;
    for (unsigned n = 0; n < 120; n++) {
        struct user_regs_struct regs = {.rip = 0x401000 + n, .rsp = 0x7ffffffde000};
        struct piece pieces[PIECE_KINDS];
        size_t count = 0;
        for (unsigned kind = 1; kind < PIECE_KINDS; kind++) {
            if (rng() % 3) continue;
            struct piece p = {.kind = (uint8_t)kind,
                              .v = {rng() % 5, 0x1000, 5, 2, 1, 0},
                              .data = data + n,
                              .len = rng() % 40};
            const int size = piece_size((int)kind);
            if (size >= 0) p.len = (size_t)size;
            if (kind == PIECE_REGS) p.data = &regs;
            if (kind == PIECE_WAIT) p.wait.kind = WAIT_FUTEX;
            if (kind == PIECE_WORD) p.word.size = 1 + rng() % 8;
            if (p.len == 0) p.data = NULL;
            pieces[count++] = p;
        }
        struct event e = {.kind = (uint8_t)(1 + n % (EV_KINDS - 1)),
                          .flags = (uint8_t)(rng() & EVF_ALL),
                          .tid = (int32_t)(100 + n % 5),
                          .nr = (int32_t)(n % 7),
                          .ret = (int64_t)(rng() % 3) - 1,
                          .time_us = 10 * n,
                          .pieces = pieces,
                          .piece_count = count};
        if (e.kind == EV_TRAP || e.kind == EV_SIGNAL || e.kind == EV_END)
            e.nr = (int32_t)(1 + n % END_FAILED);
        if (e.kind == EV_SIGNAL) e.aux = n % SIGNAL_PLACES;
        if (e.kind == EV_BREAK) e.nr = n & 1;
        if (e.flags & EVF_REGS) e.regs = regs;
        if (e.kind == EV_BIRTH) e.ret = 100 + n % 9, e.aux = 100;
        if (trace_append(w, &e, &err) < 0 || (n % 40 == 39 && trace_flush(w, &err) < 0)) goto failed;
    }
    if (trace_add_bytes(w, "int main;", 9, "source:main.c", &id, &err) < 0 || trace_finish(w, &err) < 0)
        goto failed;
    return 0;
failed:
    fprintf(stderr, "mutate: %s\n", err.text);
    return 1;
}

static void on_alarm(int signal) {
    (void)signal;
    die("a mutant took longer than a minute");
}

// Called by a sanitizer before it ends the program.
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
static void on_death(void) {
    fprintf(stderr, "mutate: repeat with: mutate '%s' %llu 1\n", file_name, current_seed);
}

static void on_crash(int signal) {
    on_death();
    raise(signal); // SA_RESETHAND: the default action now
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--make") == 0) return make(argv[2]);
    if (argc != 4) {
        fprintf(stderr, "usage: mutate FILE SEED COUNT | mutate --make FILE\n");
        return 125;
    }
    file_name = argv[1];
    signal(SIGALRM, on_alarm);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(on_death);
    else
        for (int i = 0; i < 2; i++)
            sigaction((int[]){SIGSEGV, SIGBUS}[i],
                      &(struct sigaction){.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND}, NULL);
    struct trace t = {0};
    take_apart(&t, argv[1]);
    FILE *null = fopen("/dev/null", "w");
    if (!null) die("cannot open /dev/null");
    uint64_t seed = strtoull(argv[2], NULL, 10), count = strtoull(argv[3], NULL, 10);
    for (uint64_t i = 0; i < count; i++)
        run(&t, seed + i, null);
    fclose(null);
    for (size_t i = 0; i < t.count; i++)
        free(t.parts[i].payload.data);
    free(t.parts);
    free(t.file.data);
    printf("%llu mutants read\n", (unsigned long long)count);
    return 0;
}

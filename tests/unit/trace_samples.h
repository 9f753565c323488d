// Events from a seed, and the small steps of the trace's tests. Included by each of those programs.
#ifndef REFORK_TESTS_UNIT_TRACE_SAMPLES_H
#define REFORK_TESTS_UNIT_TRACE_SAMPLES_H

#include "core/trace/trace.h"
#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char trace_path[128];

static const struct trace_header header = {
    .refork_version = "0.1-test",
    .start_unix_ns = 1700000000000000000ull,
    .kernel = "6.18.0",
    .machine_id = "a machine",
    .cpu = {CPU_NATIVE, {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, UINT32_MAX}}},
    .xstate_size = 2696,
    .paranoid_every = 7,
    .flags = 0x8000000000000001ull};

// ---- a deterministic source of events ----
static inline uint64_t rng(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15ull;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

// Small, large and extreme numbers, all about as often.
static inline uint64_t rng_value(uint64_t *state) {
    switch (rng(state) % 5) {
    case 0:
        return 0;
    case 1:
        return rng(state) % 100;
    case 2:
        return -(rng(state) % 100);
    case 3:
        return 0x7ffff7000000 + rng(state) % 65536;
    default:
        return rng(state);
    }
}

#define BYTES (3u << 20)
static uint8_t *bytes; // incompressible

struct sample {
    struct event event;
    struct piece pieces[40];
    struct user_regs_struct regs[40];
};

// As event_fault wants it: what is no number of its enum becomes one, data gets the size of its kind.
static inline void make_good(struct sample *s, size_t i, uint64_t number) {
    struct piece *p = &s->pieces[i];
    if (p->kind == PIECE_TEXT) p->text.kind = number % TEXT_KINDS;
    if (p->kind == PIECE_WAIT) p->wait.kind = WAIT_FUTEX + number % (WAIT_KINDS - WAIT_FUTEX);
    if (p->kind == PIECE_WORD) p->word.size = 1 + number % 8;
    if (p->kind == PIECE_XSTATE) {
        // core/cpu/xstate.h: 512 bytes, and one component (2, YMM) of 256.
        static uint32_t packed[(512 + 8 + 256) / sizeof(uint32_t)] = {
            0x37f, [128] = 2, [129] = 256, [140] = 1};
        p->len = number % 2 ? sizeof packed : 512;
        p->data = packed;
    }
    const int size = piece_size(p->kind);
    if (size < 0) return;
    p->len = (size_t)size;
    p->data = p->len ? bytes + number % 4096 : NULL;
    if (p->kind != PIECE_REGS) return;
    memcpy(&s->regs[i], p->data, sizeof s->regs[i]);
    p->data = &s->regs[i];
}

static inline void make_event(struct sample *s, uint64_t seed, size_t largest) {
    uint64_t state = seed;
    memset(s, 0, sizeof *s);
    struct event *e = &s->event;
    e->kind = (uint8_t)(1 + rng(&state) % (EV_KINDS - 1));
    e->flags = (uint8_t)rng(&state) & EVF_ALL;
    e->tid = rng(&state) % 8 ? (int32_t)(1000 + rng(&state) % 4) : (int32_t)rng(&state);
    e->nr = (int32_t)rng_value(&state);
    e->ret = (int64_t)rng_value(&state);
    e->aux = rng_value(&state);
    if (e->kind == EV_TRAP) e->nr = (int32_t)(TRAP_RDTSC + rng(&state) % (TRAP_KINDS - TRAP_RDTSC));
    if (e->kind == EV_TRAP) e->aux = rng(&state) % TRAP_BYS;
    if (e->kind == EV_BREAK) e->nr = (int32_t)(rng(&state) % 2);
    if (e->kind == EV_END) e->nr = (int32_t)(END_BY_ITSELF + rng(&state) % (END_REASONS - END_BY_ITSELF));
    if (e->kind == EV_SIGNAL) {
        e->nr = (int32_t)(1 + rng(&state) % 64);
        e->aux = rng(&state) % SIGNAL_PLACES;
    }
    e->time_us = seed % 16 ? seed * 3 : rng_value(&state);
    if (e->flags & EVF_REGS) {
        uint64_t regs[27] = {0};
        for (int i = 0; i < 27; i++)
            regs[i] = rng(&state) % 4 ? 0x7fff00000000u + (unsigned)i : rng_value(&state);
        memcpy(&e->regs, regs, sizeof regs);
    }
    e->piece_count = rng(&state) % 3 ? rng(&state) % 4 : rng(&state) % 40;
    e->pieces = e->piece_count ? s->pieces : NULL;
    for (size_t i = 0; i < e->piece_count; i++) {
        struct piece *p = &s->pieces[i];
        p->kind = (uint8_t)(1 + rng(&state) % (PIECE_KINDS - 1));
        for (int v = 0; v < 6; v++)
            p->v[v] = rng_value(&state);
        p->len = rng(&state) % 64 == 0 ? rng(&state) % largest : rng(&state) % 30;
        p->data = p->len ? bytes + rng(&state) % (BYTES - p->len) : NULL;
        make_good(s, i, rng(&state));
    }
}

static inline void assert_event_equal(const struct event *got, const struct event *want, uint64_t number) {
    assert_int_equal(got->number, number);
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->flags, want->flags);
    assert_int_equal(got->tid, want->tid);
    assert_int_equal(got->nr, want->nr);
    assert_int_equal(got->ret, want->ret);
    assert_int_equal(got->aux, want->aux);
    assert_int_equal(got->time_us, want->time_us);
    assert_memory_equal(&got->regs, &want->regs, sizeof got->regs);
    assert_int_equal(got->piece_count, want->piece_count);
    for (size_t i = 0; i < got->piece_count; i++) {
        const struct piece *g = &got->pieces[i], *w = &want->pieces[i];
        assert_int_equal(g->kind, w->kind);
        assert_memory_equal(g->v, w->v, sizeof g->v);
        assert_int_equal(g->len, w->len);
        if (g->len == 0)
            assert_null(g->data);
        else
            assert_memory_equal(g->data, w->data, g->len);
    }
}

// ---- helpers ----
#define ok(call)                                                                                             \
    do {                                                                                                     \
        struct rf_error err = {0};                                                                           \
        if ((call) < 0) fail_msg("%s: %s", #call, err.text);                                                 \
    } while (0)

static inline struct trace_writer *create(void) {
    struct trace_writer *w = NULL;
    struct rf_error err = {0};
    if (trace_create(trace_path, &header, 0, &w, &err) < 0) fail_msg("%s", err.text);
    return w;
}

static inline struct trace_reader *open_trace(void) {
    struct trace_reader *r = NULL;
    struct rf_error err = {0};
    if (trace_open(trace_path, &r, &err) < 0) fail_msg("%s", err.text);
    return r;
}

static inline void finish(struct trace_writer *w) {
    ok(trace_finish(w, &err));
}

static inline void append_samples(struct trace_writer *w, uint64_t from, uint64_t to, size_t largest) {
    static struct sample s;
    for (uint64_t n = from; n <= to; n++) {
        make_event(&s, n, largest);
        ok(trace_append(w, &s.event, &err));
        assert_int_equal(s.event.number, n);
    }
}

static inline void expect_samples(struct trace_reader *r, uint64_t from, uint64_t to, size_t largest) {
    static struct sample s;
    struct event e;
    for (uint64_t n = from; n <= to; n++) {
        make_event(&s, n, largest);
        struct rf_error err = {0};
        int more = trace_next(r, &e, &err);
        if (more != 1) fail_msg("event %llu: %d %s", (unsigned long long)n, more, err.text);
        assert_event_equal(&e, &s.event, n);
    }
}

static inline void expect_end(struct trace_reader *r) {
    struct event e;
    struct rf_error err = {0};
    assert_int_equal(trace_next(r, &e, &err), 0);
}

static inline uint64_t add_bytes(struct trace_writer *w, const void *data, size_t len, const char *name) {
    uint64_t id = 0;
    ok(trace_add_bytes(w, data, len, name, &id, &err));
    return id;
}

static inline void expect_blob(struct trace_reader *r, uint64_t id, const void *data, size_t len) {
    struct rf_error err = {0};
    int fd = trace_blob_fd(r, id, &err);
    if (fd < 0) fail_msg("blob %llu: %s", (unsigned long long)id, err.text);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, len);
    if (len == 0) return;
    void *p = mmap(NULL, len, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    assert_memory_equal(p, data, len);
    munmap(p, len);
}

static inline uint8_t *slurp(size_t *size) {
    int fd = open(trace_path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    *size = (size_t)st.st_size;
    uint8_t *data = malloc(*size + 1);
    assert_int_equal(read(fd, data, *size), *size);
    close(fd);
    return data;
}

static inline void spit(const void *data, size_t size) {
    int fd = open(trace_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static inline int set_up(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/refork-trace-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(folder)) return -1;
    snprintf(trace_path, sizeof trace_path, "%s/t.refork", folder);
    bytes = malloc(BYTES);
    uint64_t seed = 42;
    for (size_t i = 0; i < BYTES; i += 8) {
        uint64_t word = rng(&seed);
        memcpy(bytes + i, &word, 8);
    }
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"t.refork", "big", "copy", "small", "sparse"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    free(bytes);
    return rmdir(folder); // nothing else is left behind
}

#endif

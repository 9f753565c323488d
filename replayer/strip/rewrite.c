// A new program's stack (Linux, x86-64): the stack pointer is at argc, then the arguments' addresses, 0, those of the
// environment's strings, 0.
#include "replayer/strip/rewrite.h"

#include "core/array.h"
#include "core/trace/trace_write.h"

#include <stdlib.h>
#include <string.h>

enum { STRINGS_MAX = 1 << 16, LOOKED_FOR = 8 }; // shorter values are found by chance

// ---- the memory that an EXEC event gives

static const struct piece *piece_at(const struct event *e, uint64_t address, size_t size) {
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind == PIECE_MEM && address >= p->mem.address && address - p->mem.address <= p->len &&
            p->len - (address - p->mem.address) >= size)
            return p;
    }
    return NULL;
}

static bool word_at(const struct event *e, uint64_t address, uint64_t *out) {
    const struct piece *p = piece_at(e, address, sizeof *out);
    if (p) memcpy(out, (const char *)p->data + (address - p->mem.address), sizeof *out);
    return p;
}

// The string at `address` in the piece's data: its length without the NUL; NULL: it does not end there.
static const char *string_at(const struct event *e, uint64_t address, size_t *length) {
    const struct piece *p = piece_at(e, address, 1);
    if (!p) return NULL;
    const char *text = (const char *)p->data + (address - p->mem.address);
    size_t room = p->len - (size_t)(address - p->mem.address);
    *length = strnlen(text, room);
    return *length < room ? text : NULL;
}

typedef void (*string_visit)(void *context, const char *text, size_t length);

static void visit_environment(const struct event *e, string_visit visit, void *context) {
    const struct piece *regs = event_piece(e, PIECE_REGS, NULL);
    struct user_regs_struct u;
    uint64_t argc, address;
    if (!regs || regs->len != sizeof u) return;
    memcpy(&u, regs->data, sizeof u);
    if (!word_at(e, u.rsp, &argc) || argc > STRINGS_MAX) return;
    uint64_t at = u.rsp + 8 * (argc + 2);
    for (size_t i = 0; i < STRINGS_MAX && word_at(e, at + 8 * i, &address) && address; i++) {
        size_t length;
        const char *text = string_at(e, address, &length);
        if (text) visit(context, text, length);
    }
}

// ---- variables

static struct variable *find(struct environment *e, const char *text, size_t name_length) {
    for (size_t i = 0; i < e->count; i++)
        if (strlen(e->variables[i].name) == name_length && !memcmp(e->variables[i].name, text, name_length))
            return &e->variables[i];
    return NULL;
}

static void note_variable(void *context, const char *text, size_t length) {
    struct environment *e = context;
    const char *equals = memchr(text, '=', length);
    if (!equals || equals + 1 == text + length) return; // nothing to take out
    size_t name = (size_t)(equals - text), value = length - name - 1;
    struct variable *v = find(e, text, name);
    if (v && strlen(v->value) >= value) return;
    if (!v) {
        v = array_add(e->variables, e->count);
        v->name = strndup(text, name);
    }
    free(v->value);
    v->value = strndup(equals + 1, value);
    rf_assert(v->name && v->value);
}

int environment_read(struct trace_reader *r, struct environment *out, struct rf_error *err) {
    struct event e;
    int got = trace_seek(r, 1, err) < 0 ? -1 : 1;
    while (got == 1 && (got = trace_next(r, &e, err)) == 1)
        if (e.kind == EV_EXEC) visit_environment(&e, note_variable, out);
    return got;
}

void environment_release(struct environment *e) {
    for (size_t i = 0; i < e->count; i++) {
        free(e->variables[i].name);
        free(e->variables[i].value);
    }
    free(e->variables);
    *e = (struct environment){.count = 0};
}

// ---- the copy

// The texts are in the data of pieces that writable_copy made.
static void fill(void *context, const char *text, size_t length) {
    struct environment *e = context;
    const char *equals = memchr(text, '=', length);
    const struct variable *v = equals ? find(e, text, (size_t)(equals - text)) : NULL;
    if (v && v->out) memset((char *)(uintptr_t)equals + 1, 'x', length - (size_t)(equals + 1 - text));
}

static void count_elsewhere(struct environment *environment, const struct event *e) {
    for (size_t i = 0; i < environment->count; i++) {
        struct variable *v = &environment->variables[i];
        size_t length = strlen(v->value);
        for (size_t k = 0; v->out && length >= LOOKED_FOR && k < e->piece_count; k++)
            v->elsewhere += e->pieces[k].len && memmem(e->pieces[k].data, e->pieces[k].len, v->value, length);
    }
}

static int copy_event(struct trace_writer *w, const struct rewrite *way, struct event *e,
                      struct rf_error *err) {
    if (e->kind != EV_EXEC || !way->environment) {
        if (way->environment) count_elsewhere(way->environment, e);
        return trace_append(w, e, err);
    }
    void **copies = calloc(e->piece_count + 1, sizeof *copies);
    rf_assert(copies);
    for (size_t i = 0; i < e->piece_count; i++) {
        struct piece *p = &e->pieces[i];
        if (p->kind != PIECE_MEM || !p->len) continue;
        copies[i] = malloc(p->len);
        rf_assert(copies[i]);
        memcpy(copies[i], p->data, p->len);
        p->data = copies[i];
    }
    visit_environment(e, fill, way->environment);
    count_elsewhere(way->environment, e);
    int failed = trace_append(w, e, err);
    for (size_t i = 0; i < e->piece_count; i++)
        free(copies[i]);
    free(copies);
    return failed;
}

// ids[old] is the new number, 0: left out. -1: *err.
static int copy_blobs(struct trace_reader *r, struct trace_writer *w, struct rewrite *way, uint64_t *ids,
                      struct rf_error *err) {
    for (uint64_t id = 1; id <= trace_blob_count(r); id++) {
        const char *name;
        uint64_t size;
        if (!trace_blob_info(r, id, &name, &size)) continue;
        if (!way->keep_blob(name)) {
            way->files++;
            way->bytes += size;
            continue;
        }
        int fd = trace_blob_fd(r, id, err);
        if (fd < 0 || trace_add_file(w, fd, name, &ids[id], err) < 0) return -1;
    }
    return 0;
}

static int copy_events(struct trace_reader *r, struct trace_writer *w, struct rewrite *way,
                       const uint64_t *ids, struct rf_error *err) {
    struct event e;
    int got = trace_seek(r, 1, err) < 0 ? -1 : 1;
    while (got == 1 && (got = trace_next(r, &e, err)) == 1) {
        for (size_t i = 0; i < e.piece_count; i++) {
            struct piece *p = &e.pieces[i];
            if (p->kind != PIECE_MAP || !p->map.blob) continue;
            if (p->map.blob > trace_blob_count(r) || !ids[p->map.blob])
                return rf_fail(err, RF_BAD_TRACE,
                               "event %llu maps file %llu, which the recording does not have",
                               (unsigned long long)e.number, (unsigned long long)p->map.blob);
            p->map.blob = ids[p->map.blob];
        }
        if (copy_event(w, way, &e, err) < 0) return -1;
    }
    return got;
}

int rewrite_copy(struct trace_reader *r, const char *path, struct rewrite *way, struct rf_error *err) {
    struct trace_writer *w;
    uint64_t *ids = calloc(trace_blob_count(r) + 1, sizeof *ids);
    rf_assert(ids);
    way->files = way->bytes = 0;
    for (size_t i = 0; way->environment && i < way->environment->count; i++)
        way->environment->variables[i].elsewhere = 0;
    int failed = trace_create(path, trace_get_header(r), -1, &w, err);
    if (!failed) {
        failed = copy_blobs(r, w, way, ids, err);
        if (!failed && way->events) failed = copy_events(r, w, way, ids, err);
        struct rf_error last;
        int finished = trace_finish(w, failed ? &last : err);
        if (!failed) failed = finished;
    }
    free(ids);
    return failed;
}

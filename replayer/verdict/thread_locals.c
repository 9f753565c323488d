// thread_local data that a vanished thread leaves behind: what in its TLS blocks is not as it was when the thread began.
#include "replayer/verdict/thread_locals.h"

#include "core/error.h"
#include "replayer/verdict/glibc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_MAX = 1 << 20 };

struct block {
    const struct libc_module *module;
    const struct view *view;
    struct tls_segment segment;
    uint64_t address;
    uint8_t *now, *before;
    size_t named; // variables
    struct vanished_thread *out;
};

// The runtimes' own: errno, locale pointers, exception globals.
static bool is_runtime(const char *name) {
    static const char *const names[] = {"libc.so",  "ld-linux", "libstdc++",
                                        "libgcc_s", "libm.so",  "libpthread"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(name, names[i], strlen(names[i]))) return true;
    return false;
}

static void add(struct block *b, const char *name, uint64_t offset, uint64_t size) {
    if (!size || offset > b->segment.size || size > b->segment.size - offset) return;
    if (!memcmp(b->now + offset, b->before + offset, size)) return;
    struct vanished_thread *t = b->out;
    // A symbol may be in two tables.
    if (t->local_count && t->locals[t->local_count - 1].address == b->address + offset) return;
    t->local_total++;
    if (t->local_count == sizeof t->locals / sizeof *t->locals) return;
    struct thread_local_data *d = &t->locals[t->local_count++];
    *d = (struct thread_local_data){.address = b->address + offset, .size = size};
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->module, sizeof d->module, "%s", b->module->name);
    uint64_t value;
    if (size < sizeof value) return;
    memcpy(&value, b->now + offset, sizeof value);
    if (view_find(b->view, value)) d->target = value;
}

static void visit(void *context, const char *name, uint64_t offset, uint64_t size) {
    struct block *b = context;
    b->named++;
    add(b, name, offset, size);
}

static void count(void *context, const char *name, uint64_t offset, uint64_t size) {
    (void)context, (void)name, (void)offset, (void)size;
}

static void look_at(struct symbols *s, struct block *b) {
    const struct view *v = b->view;
    if (!symbols_tls_variables(s, v, b->module->bias, &b->segment, count, NULL) ||
        b->segment.size > BLOCK_MAX)
        return;
    b->now = malloc(b->segment.size + 1);
    b->before = calloc(1, b->segment.size + 1);
    rf_assert(b->now && b->before);
    if (v->read(v->context, b->address, b->now, b->segment.size) &&
        (!b->segment.image || v->read(v->context, b->segment.start, b->before, b->segment.image))) {
        symbols_tls_variables(s, v, b->module->bias, &b->segment, visit, b);
        if (!b->named) add(b, "", 0, b->segment.size);
    }
    free(b->now);
    free(b->before);
}

void libc_thread_locals(struct symbols *s, const struct libc_layout *l, const struct view *v,
                        uint64_t fs_base, struct vanished_thread *out) {
    for (size_t i = 0; fs_base && i < l->tls_module_count; i++) {
        struct block b = {.module = &l->tls_modules[i], .view = v, .out = out};
        if (is_runtime(b.module->name)) continue;
        b.address = libc_tls_block(l, v, fs_base, b.module->id);
        if (b.address) look_at(s, &b);
    }
}

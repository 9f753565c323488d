#include "replayer/verdict/glibc.h"

#include "core/path.h"

#include <stdio.h>
#include <string.h>

enum {
    LIST_MAX = 4096,    // destructors that are counted
    MODULES_MAX = 1024, // of the link map
    CACHE_BINS = 64,    // TCACHE_MAX_BINS
    CACHE_FIRST = 24,   // usable bytes of the first bin's blocks
    CACHE_STEP = 16,    // MALLOC_ALIGNMENT
    DTV_SLOT = 16,      // sizeof(dtv_t)
    MAP_NAME = 8,       // struct link_map, <link.h>: l_addr, l_name, l_ld, l_next
    MAP_NEXT = 24,
    DEBUG_MAP = 8,        // struct r_debug: r_version, r_map
    DESTRUCTOR_NEXT = 24, // struct dtor_list in stdlib/cxa_thread_atexit_impl.c: func, obj, map, next
    HANDLERS_INLINE = 48, // fork_handler_list_INITIAL_SIZE in posix/register-atfork.c
    HANDLERS_HEADER = 24, // dynarray: used, allocated, array
    HANDLERS_MAX = 4096,
};

static bool read_u64(const struct view *v, uint64_t address, uint64_t *out) {
    return address && v->read(v->context, address, out, sizeof *out);
}

// One _thread_db_ variable: {size in bits, number of elements, offset}.
static bool field(struct symbols *s, const struct view *v, const char *name, uint64_t *offset,
                  uint64_t *count) {
    char symbol[80];
    uint32_t words[3];
    snprintf(symbol, sizeof symbol, "_thread_db_%s", name);
    uint64_t address = symbols_address(s, v, "libc.so", symbol);
    if (!address || !v->read(v->context, address, words, sizeof words)) return false;
    *offset = words[2];
    if (count) *count = words[1];
    return true;
}

static bool size_of(struct symbols *s, const struct view *v, const char *name, uint64_t *out) {
    char symbol[80];
    uint32_t size;
    snprintf(symbol, sizeof symbol, "_thread_db_sizeof_%s", name);
    uint64_t address = symbols_address(s, v, "libc.so", symbol);
    if (!address || !v->read(v->context, address, &size, sizeof size) || !size || size > 65536) return false;
    *out = size;
    return true;
}

static void read_keys(struct symbols *s, const struct view *v, struct libc_layout *l) {
    uint64_t seq, destructor, size, bytes;
    bool known = field(s, v, "pthread_specific", &l->specific, &l->level1_count) &&
                 field(s, v, "pthread_key_data_level2_data", &l->level2, &l->level2_count) &&
                 field(s, v, "pthread_key_data_seq", &l->data_seq, NULL) &&
                 field(s, v, "pthread_key_data_data", &l->data_value, NULL) &&
                 size_of(s, v, "pthread_key_data", &l->data_size) &&
                 field(s, v, "pthread_key_struct_seq", &seq, NULL) &&
                 field(s, v, "pthread_key_struct_destr", &destructor, NULL) &&
                 size_of(s, v, "pthread_key_struct", &size) &&
                 size_of(s, v, "pthread_key_data_level2", &bytes);
    // (glibc says the number of level 2's elements as 0: it is what fills the structure.)
    if (known) l->level2_count = (bytes - l->level2) / l->data_size;
    if (!known || l->level1_count > 64 || l->level2_count > 64) return;
    l->key_seq = seq;
    l->key_destructor = destructor;
    l->key_size = size;
    l->keys = symbols_address(s, v, "libc.so", "__pthread_keys");
}

static void read_base_name(const struct view *v, uint64_t address, char *out, size_t size) {
    char name[256] = "";
    for (size_t i = 0; i < sizeof name - 1; i++)
        if (!v->read(v->context, address + i, &name[i], 1) || !name[i]) break;
    snprintf(out, size, "%s", base_name(name));
}

// The modules with thread-local data, from ld.so's list. The program itself has no name there.
static void read_modules(struct symbols *s, const struct view *v, struct libc_layout *l) {
    enum { N = sizeof l->tls_modules / sizeof *l->tls_modules };
    uint64_t at = 0, name = 0, offset;
    if (!field(s, v, "link_map_l_tls_modid", &offset, NULL)) return;
    uint64_t debug = symbols_address(s, v, "ld-", "_r_debug");
    if (!debug || !read_u64(v, debug + DEBUG_MAP, &at)) return;
    for (int i = 0; at && i < MODULES_MAX && l->tls_module_count < N; i++) {
        struct libc_module m = {0};
        if (read_u64(v, at, &m.bias) && read_u64(v, at + MAP_NAME, &name) &&
            read_u64(v, at + offset, &m.id) && m.id && m.id < MODULES_MAX) {
            if (name) read_base_name(v, name, m.name, sizeof m.name);
            if (!strncmp(m.name, "libc.so.6", 9)) l->module = m.id;
            l->tls_modules[l->tls_module_count++] = m;
        }
        if (!read_u64(v, at + MAP_NEXT, &at)) return;
    }
}

void libc_layout_read(struct symbols *s, const struct view *v, struct libc_layout *l) {
    memset(l, 0, sizeof *l);
    read_keys(s, v, l);
    if (!field(s, v, "pthread_dtvp", &l->dtv_pointer, NULL)) return;
    read_modules(s, v, l);
    l->has_destructors = symbols_tls(s, v, "libc.so", "tls_dtor_list", &l->destructors);
    l->has_cache = symbols_tls(s, v, "libc.so", "tcache", &l->cache);
}

static int count_keys(const struct libc_layout *l, const struct view *v, uint64_t thread) {
    int count = 0;
    for (uint64_t i = 0; i < l->level1_count; i++) {
        uint64_t block = 0;
        if (!read_u64(v, thread + l->specific + i * 8, &block)) return -1;
        for (uint64_t k = 0; block && k < l->level2_count; k++) {
            uint64_t data = block + l->level2 + k * l->data_size, seq, value, key_seq, destructor;
            uint64_t key = l->keys + (i * l->level2_count + k) * l->key_size;
            if (!read_u64(v, data + l->data_seq, &seq) || !read_u64(v, data + l->data_value, &value))
                return -1;
            if (!value) continue;
            if (!read_u64(v, key + l->key_seq, &key_seq) ||
                !read_u64(v, key + l->key_destructor, &destructor))
                return -1;
            count += seq == key_seq && destructor;
        }
    }
    return count;
}

uint64_t libc_tls_block(const struct libc_layout *l, const struct view *v, uint64_t thread, uint64_t id) {
    uint64_t dtv = 0, block = 0;
    if (!id || !read_u64(v, thread + l->dtv_pointer, &dtv) || !read_u64(v, dtv + id * DTV_SLOT, &block))
        return 0;
    return block == UINT64_MAX ? 0 : block; // TLS_DTV_UNALLOCATED
}

uint64_t libc_tls_of(struct symbols *s, const struct view *v, uint64_t thread, uint64_t link_map) {
    struct libc_layout l = {0};
    uint64_t offset, id;
    if (!field(s, v, "link_map_l_tls_modid", &offset, NULL) ||
        !field(s, v, "pthread_dtvp", &l.dtv_pointer, NULL) || !read_u64(v, link_map + offset, &id) ||
        id >= MODULES_MAX)
        return 0;
    return libc_tls_block(&l, v, thread, id);
}

static int count_destructors(const struct view *v, uint64_t head) {
    uint64_t at = 0;
    if (!read_u64(v, head, &at)) return -1;
    int count = 0;
    for (; at; count++)
        if (count == LIST_MAX || !read_u64(v, at + DESTRUCTOR_NEXT, &at)) return -1;
    return count;
}

static void read_cache(const struct view *v, uint64_t pointer, struct vanished_thread *out) {
    uint64_t cache = 0;
    uint16_t counts[CACHE_BINS];
    if (!read_u64(v, pointer, &cache)) return;
    if (!cache) {
        out->cache_blocks = out->cache_bytes = 0;
        return;
    }
    if (!v->read(v->context, cache, counts, sizeof counts)) return;
    int64_t blocks = 0, bytes = 0;
    for (int i = 0; i < CACHE_BINS; i++) {
        blocks += counts[i];
        bytes += counts[i] * (CACHE_FIRST + (int64_t)i * CACHE_STEP);
    }
    out->cache_blocks = blocks;
    out->cache_bytes = bytes;
}

void libc_thread(const struct libc_layout *l, const struct view *v, uint64_t fs_base,
                 struct vanished_thread *out) {
    out->destructors = out->keys = -1;
    out->cache_blocks = out->cache_bytes = -1;
    if (!fs_base) return;
    if (l->keys) out->keys = count_keys(l, v, fs_base);
    uint64_t block = libc_tls_block(l, v, fs_base, l->module);
    if (block && l->has_destructors) out->destructors = count_destructors(v, block + l->destructors);
    if (block && l->has_cache) read_cache(v, block + l->cache, out);
}

uint64_t libc_start_routine(struct symbols *s, const struct view *v, uint64_t fs_base) {
    uint64_t offset, routine = 0;
    if (!fs_base || !field(s, v, "pthread_start_routine", &offset, NULL) ||
        !read_u64(v, fs_base + offset, &routine))
        return 0;
    return routine;
}

// Is it code, or no handler at all?
static bool plausible(const struct view *v, uint64_t function) {
    const struct view_map *map = function ? view_find(v, function) : NULL;
    return !function || (map && map->prot & 4 /* PROT_EXEC */);
}

int libc_fork_handlers(struct symbols *s, const struct view *v, struct fork_handler *out, size_t max) {
    uint64_t list = symbols_address(s, v, "libc.so", "fork_handlers"), header[3];
    struct data_symbol symbol;
    if (!list || !symbols_data(s, v, list, &symbol) || !symbol.size) return -1;
    // {prepare, parent, child, dso_handle} and, since 2.36, an id: the inline elements tell the size.
    uint64_t size = (symbol.size - HANDLERS_HEADER) / HANDLERS_INLINE;
    if (symbol.size < HANDLERS_HEADER || size < 32 || size > 64 || size % 8) return -1;
    if (!v->read(v->context, list, header, sizeof header) || header[0] > HANDLERS_MAX) return -1;
    for (uint64_t i = 0; i < header[0] && i < max; i++) {
        struct fork_handler h;
        if (!v->read(v->context, header[2] + i * size, &h, sizeof h)) return -1;
        if (!plausible(v, h.prepare) || !plausible(v, h.parent) || !plausible(v, h.child)) return -1;
        out[i] = h;
    }
    return (int)header[0];
}

#include "replayer/locks/name.h"

#include "core/path.h"
#include "replayer/names/member.h"

#include <stdio.h>
#include <string.h>

bool lock_is_waiter_pool(const struct data_symbol *symbol) {
    const char *end = strstr(symbol->name, "__waiter_pool_base::_S_for(");
    return end && strstr(end, "::__w");
}

// "queue+16"
static bool by_symbol(struct symbols *s, const struct view *v, struct finding_lock *l) {
    struct data_symbol symbol;
    if (!symbols_data(s, v, l->address, &symbol)) return false;
    if (lock_is_waiter_pool(&symbol)) {
        snprintf(l->symbol, sizeof l->symbol, "a word of libstdc++'s shared waiter pool");
        return true;
    }
    if (symbol.file) snprintf(l->declared, sizeof l->declared, "%s:%d", symbol.file, symbol.line);
    if (member_of_variable(s, v, symbol.name, l->address, symbol.offset, l->symbol, sizeof l->symbol))
        return true;
    int n = snprintf(l->symbol, sizeof l->symbol, "%s", symbol.name);
    if (symbol.offset && n < (int)sizeof l->symbol)
        snprintf(l->symbol + n, sizeof l->symbol - (size_t)n, "+%lu", (long)symbol.offset);
    return true;
}

// The mutex of an arena of glibc's malloc that is not the first one: its heap begins at a multiple of its greatest size, with a struct
// heap_info, whose first word points to the arena, and an arena begins with its mutex (malloc/arena.c).
static bool is_arena(const struct view *v, uint64_t address) {
    enum { HEAP_MAX = 64 << 20, HEAP_INFO_MAX = 64 };
    const uint64_t heap = address & ~(uint64_t)(HEAP_MAX - 1);
    uint64_t arena;
    return heap && address - heap <= HEAP_INFO_MAX && v->read(v->context, heap, &arena, sizeof arena) &&
           arena == address;
}

static void by_map(const struct view *v, bool shared, struct finding_lock *l) {
    const struct view_map *map = view_find(v, l->address);
    if (!map) return;
    uint64_t vaddr = 0;
    const char *name = map->name ? map->name : "", *module = symbols_place(v, l->address, &vaddr);
    l->of_this_run = shared || (name[0] != '/' && !module);
    if (shared)
        snprintf(l->symbol, sizeof l->symbol, "lock 0x%lx in shared memory", (long)l->address);
    else if (!strcmp(name, "[heap]"))
        snprintf(l->symbol, sizeof l->symbol, "heap lock 0x%lx", (long)l->address);
    else if (is_arena(v, l->address))
        snprintf(l->symbol, sizeof l->symbol, "malloc arena 0x%lx", (long)l->address);
    else if (module) // as frames without a symbol are written
        snprintf(l->symbol, sizeof l->symbol, "%s+0x%lx", module, (long)vaddr);
    else if (name[0] == '/')
        snprintf(l->symbol, sizeof l->symbol, "%s+0x%lx", base_name(name),
                 (long)(l->address - map->start + map->offset));
    else
        snprintf(l->symbol, sizeof l->symbol, "lock 0x%lx in %s", (long)l->address,
                 *name ? name : "anonymous memory");
}

void lock_name(struct symbols *s, const struct view *v, const char *kind, uint64_t address, bool shared,
               struct finding_lock *out) {
    *out = (struct finding_lock){.address = address};
    snprintf(out->kind, sizeof out->kind, "%s", kind);
    out->unnamed = address && !by_symbol(s, v, out);
    if (out->unnamed) by_map(v, shared, out);
}

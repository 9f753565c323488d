#include "replayer/locks/touches.h"

#include "core/error.h"

#include <stdlib.h>

static size_t slot_of(const struct lock_touches *all, const struct lock_touch *key) {
    uint64_t h = (key->address ^ (uint64_t)key->space << 40 ^ (uint64_t)key->pc << 20 ^ (uint64_t)key->tid) *
                 0xff51afd7ed558ccdull;
    size_t slot = (size_t)(h >> 20) & (all->table_size - 1);
    for (; all->table[slot]; slot = (slot + 1) & (all->table_size - 1)) {
        const struct lock_touch *t = &all->v[all->table[slot] - 1];
        if (t->address == key->address && t->space == key->space && t->pc == key->pc && t->tid == key->tid)
            break;
    }
    return slot;
}

static void grow(struct lock_touches *all) {
    if (all->count == all->room) {
        all->room = all->room ? all->room * 2 : 256;
        all->v = reallocarray(all->v, all->room, sizeof *all->v);
        rf_assert(all->v);
    }
    if (all->count * 2 < all->table_size) return;
    free(all->table);
    all->table_size = all->table_size ? all->table_size * 2 : 1024;
    all->table = calloc(all->table_size, sizeof *all->table);
    rf_assert(all->table);
    for (size_t i = 0; i < all->count; i++)
        all->table[slot_of(all, &all->v[i])] = (uint32_t)i + 1;
}

struct lock_touch *lock_touches_at(struct lock_touches *all, uint32_t space, uint64_t address, uint32_t pc,
                                   int tid) {
    const struct lock_touch key = {.address = address, .space = space, .pc = pc, .name = -1, .tid = tid};
    grow(all);
    size_t slot = slot_of(all, &key);
    if (all->table[slot]) return &all->v[all->table[slot] - 1];
    if (all->count == LOCK_TOUCHES_MAX) return NULL;
    all->v[all->count] = key;
    all->table[slot] = (uint32_t)++all->count;
    return &all->v[all->count - 1];
}

void lock_touches_release(struct lock_touches *all) {
    free(all->v);
    free(all->table);
    *all = (struct lock_touches){0};
}

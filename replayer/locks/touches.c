#include "replayer/locks/touches.h"

static uint64_t mix_touch(const struct lock_touch *t) {
    return hash_mix(t->address ^ hash_mix((uint64_t)t->space << 32 ^ t->pc ^ hash_mix((uint64_t)t->tid)));
}

static uint64_t mixed_touch(const void *context, size_t i) {
    return mix_touch(&((const struct lock_touches *)context)->v[i]);
}

static bool same_touch(const void *context, size_t i, const void *key) {
    const struct lock_touch *t = &((const struct lock_touches *)context)->v[i], *k = key;
    return t->address == k->address && t->space == k->space && t->pc == k->pc && t->tid == k->tid;
}

struct lock_touch *lock_touches_at(struct lock_touches *all, uint32_t space, uint64_t address, uint32_t pc,
                                   int tid) {
    const struct lock_touch key = {.address = address, .space = space, .pc = pc, .name = -1, .tid = tid};
    rf_assert(hash_room(&all->by_place, all->count, mixed_touch, all));
    uint32_t *slot = hash_slot(&all->by_place, mix_touch(&key), same_touch, all, &key);
    if (*slot) return &all->v[*slot - 1];
    if (all->count == LOCK_TOUCHES_MAX) return NULL;
    array_push(all->v, all->count, key);
    *slot = (uint32_t)all->count;
    return &all->v[all->count - 1];
}

void lock_touches_release(struct lock_touches *all) {
    free(all->v);
    hash_release(&all->by_place);
    *all = (struct lock_touches){0};
}

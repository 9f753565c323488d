#include "core/trace/known_blobs.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct known {
    uint64_t key[5];
    uint64_t id;
};

static uint64_t mixed(const uint64_t key[5]) {
    return XXH3_64bits(key, 5 * sizeof *key);
}

static uint64_t known_key(const void *known, size_t i) {
    return mixed(((const struct known *)known)[i].key);
}

static bool known_same(const void *known, size_t i, const void *key) {
    return !memcmp(((const struct known *)known)[i].key, key, sizeof(struct known){0}.key);
}

uint64_t known_find(const struct known_blobs *k, const uint64_t key[5]) {
    uint32_t found = hash_find(&k->by_key, mixed(key), known_same, k->known, key);
    return found ? k->known[found - 1].id : 0;
}

void known_add(struct known_blobs *k, const uint64_t key[5], uint64_t id) {
    if (!hash_room(&k->by_key, k->count, known_key, k->known)) return;
    uint32_t *slot = hash_slot(&k->by_key, mixed(key), known_same, k->known, key);
    if (!*slot) {
        struct known *new = array_try_add(k->known, k->count);
        if (!new) return;
        memcpy(new->key, key, sizeof new->key);
        *slot = (uint32_t)k->count;
    }
    k->known[*slot - 1].id = id;
}

void known_free(struct known_blobs *k) {
    free(k->known);
    hash_release(&k->by_key);
}

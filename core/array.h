// Arrays that grow, and a hash over one. An array is a pointer and a count, `T *v; size_t count;`, NULL and 0 at
// first; free(v) releases it. Its room follows from its count (the next power of two), so nothing else is kept and
// an array may be cut by lowering its count.
//
//     struct lock *l = array_add(w->locks, w->lock_count);   // the new one, zeroed
#ifndef REFORK_CORE_ARRAY_H
#define REFORK_CORE_ARRAY_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// `v` with room for one element more than `count`, of `size` bytes each; NULL when out of memory: `v` is kept then.
// `count` elements are in use, and the array was made by this function alone.
static inline void *array_room(void *v, size_t count, size_t size) {
    if (v && (count & (count - 1))) return v;
    return reallocarray(v, count ? count * 2 : 1, size);
}

// The new last element of an array, zeroed. Memory that ends is an end of refork: use it where the number of
// elements is bounded, or small beside what each stands for.
#define array_add(v, count)                                                                                  \
    ({                                                                                                       \
        __typeof__(&(v)[0]) array_added = array_try_add(v, count);                                           \
        rf_assert(array_added);                                                                              \
        array_added;                                                                                         \
    })

// The same, or NULL when out of memory: array and count are as they were.
#define array_try_add(v, count)                                                                              \
    ({                                                                                                       \
        __typeof__(&(v)[0]) array_grown = array_room((v), (size_t)(count), sizeof *(v));                     \
        if (array_grown) {                                                                                   \
            (v) = array_grown;                                                                               \
            array_grown = memset(&(v)[(count)++], 0, sizeof *(v));                                           \
        }                                                                                                    \
        array_grown;                                                                                         \
    })

#define array_push(v, count, ...) ((void)(*array_add(v, count) = (__VA_ARGS__)))

// Puts an element in before element `i`.
#define array_insert(v, count, i, ...)                                                                       \
    ({                                                                                                       \
        size_t array_at = (i);                                                                               \
        array_add(v, count);                                                                                 \
        memmove(&(v)[array_at + 1], &(v)[array_at], ((count)-1 - array_at) * sizeof *(v));                   \
        (v)[array_at] = (__VA_ARGS__);                                                                       \
    })

// A copy of an array, which may grow as `v` may; NULL for an empty one, and when out of memory.
static inline void *array_copy(const void *v, size_t count, size_t size) {
    size_t room = 1;
    while (room < count)
        room *= 2;
    void *copy = count ? reallocarray(NULL, room, size) : NULL;
    return copy ? memcpy(copy, v, count * size) : NULL;
}

// Takes element `i` out and closes the gap.
#define array_remove(v, count, i)                                                                            \
    ((void)memmove(&(v)[i], &(v)[(i) + 1], (--(count) - (size_t)(i)) * sizeof *(v)))

// Of a sorted array: how many elements come before a place in it. `before` is an expression of `it`, a pointer to an
// element: true for those, false for all that follow.
#define array_before(v, count, it, before)                                                                   \
    ({                                                                                                       \
        size_t array_low = 0, array_high = (count);                                                          \
        while (array_low < array_high) {                                                                     \
            size_t array_middle = array_low + (array_high - array_low) / 2;                                  \
            const __typeof__(*(v)) *it = &(v)[array_middle];                                                 \
            if (before)                                                                                      \
                array_low = array_middle + 1;                                                                \
            else                                                                                             \
                array_high = array_middle;                                                                   \
        }                                                                                                    \
        array_low;                                                                                           \
    })

// An index over the elements of an array, which stays with its owner: it finds an element by its key. Open
// addressing; a slot holds the number of an element from 1, 0 is free. {0} at first. Elements are added, and never
// removed one by one; of several with one key the last is found.
struct hash {
    uint32_t *slots;
    size_t size; // of slots: a power of two, at least twice the elements; 0: none yet
};

// Every bit of the key changes every bit of the result (the finalizer of MurmurHash3). The keys of several fields
// are joined as hash_mix(a ^ hash_mix(b)).
static inline uint64_t hash_mix(uint64_t key) {
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdull;
    key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53ull;
    return key ^ key >> 33;
}

// The key of element `i` of the array that `context` leads to, mixed.
typedef uint64_t hash_of(const void *context, size_t i);
// Has element `i` the key `key`?
typedef bool hash_same(const void *context, size_t i, const void *key);

// The slot of `key`, whose mixed value is `mixed`: *slot is 0 when there is no such element. `h` has room.
static inline uint32_t *hash_slot(const struct hash *h, uint64_t mixed, hash_same *same, const void *context,
                                  const void *key) {
    size_t slot = mixed & (h->size - 1);
    while (h->slots[slot] && !same(context, h->slots[slot] - 1, key))
        slot = (slot + 1) & (h->size - 1);
    return &h->slots[slot];
}

// The element with that key: its number from 1, 0 if there is none.
static inline uint32_t hash_find(const struct hash *h, uint64_t mixed, hash_same *same, const void *context,
                                 const void *key) {
    return h->size ? *hash_slot(h, mixed, same, context, key) : 0;
}

// Makes room for one element more than the `count` that are in; false: out of memory, *h is as it was.
static inline bool hash_room(struct hash *h, size_t count, hash_of *of, const void *context) {
    if ((count + 1) * 2 <= h->size) return true;
    size_t size = h->size ? h->size * 2 : 64;
    uint32_t *slots = calloc(size, sizeof *slots);
    if (!slots) return false;
    for (size_t i = count; i-- > 0;) {
        size_t slot = of(context, i) & (size - 1);
        while (slots[slot])
            slot = (slot + 1) & (size - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    free(h->slots);
    *h = (struct hash){slots, size};
    return true;
}

static inline void hash_release(struct hash *h) {
    free(h->slots);
    *h = (struct hash){0};
}

#endif

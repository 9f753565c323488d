// Which files and which contents a trace has already.
#ifndef REFORK_CORE_TRACE_KNOWN_BLOBS_H
#define REFORK_CORE_TRACE_KNOWN_BLOBS_H

#include "core/array.h"

#include <stddef.h>
#include <stdint.h>

// Two spaces of keys in one table: (size, hash, hash, ~0, ~0) and (dev, ino, size, mtime, ctime); no file
// system has a ctime of ~0.
#define CONTENT_KEY(size, hash)                                                                              \
    (uint64_t[5]) {                                                                                          \
        (size), (hash).low64, (hash).high64, UINT64_MAX, UINT64_MAX                                          \
    }

// All zero: nothing is known.
struct known_blobs {
    struct known *known;
    size_t count;
    struct hash by_key; // of `known`
};

// The blob's id; 0: not known.
uint64_t known_find(const struct known_blobs *k, const uint64_t key[5]);
// A failure to remember costs time or space, nothing else.
void known_add(struct known_blobs *k, const uint64_t key[5], uint64_t id);
void known_free(struct known_blobs *k);

#endif

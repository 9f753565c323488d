// Results that cost time, kept in files. A file that is damaged, of another version or of something else is as good
// as none; a write that fails is no error. Any number of processes may use one at once.
#ifndef REFORK_REPLAYER_NAMES_CACHE_H
#define REFORK_REPLAYER_NAMES_CACHE_H

#include <stddef.h>
#include <stdint.h>

// What the content is a function of, refork's version is added.
struct cache_key {
    uint64_t low, high;
};
struct cache_key cache_key(const void *data, size_t len);

// The path of `name` in $XDG_CACHE_HOME/refork (else ~/.cache/refork), from malloc; NULL: there is no such place.
char *cache_path(const char *name);

// The content of `path` if it was written for `key`, from malloc; NULL.
void *cache_read(const char *path, struct cache_key key, size_t *len);
// 0, or -1 when it could not be written.
int cache_write(const char *path, struct cache_key key, const void *data, size_t len);

#endif

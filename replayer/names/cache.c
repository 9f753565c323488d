#include "replayer/names/cache.h"

#include "core/trace/crc32c.h"
#include "core/version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC "RFKCACHE"
enum { LARGEST = 1 << 30 };

struct header {
    char magic[8];
    struct cache_key key;
    uint64_t len;
    uint32_t crc; // of the content
    uint32_t header_crc;
};

struct cache_key cache_key(const void *data, size_t len) {
    XXH128_hash_t hash =
        XXH3_128bits_withSeed(data, len, XXH3_64bits(REFORK_VERSION, strlen(REFORK_VERSION)));
    return (struct cache_key){hash.low64, hash.high64};
}

char *cache_path(const char *name) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char folder[4096];
    if (base && base[0] == '/') {
        snprintf(folder, sizeof folder, "%s", base);
    } else {
        if (!home || home[0] != '/') return NULL;
        snprintf(folder, sizeof folder, "%s/.cache", home);
    }
    mkdir(folder, 0700);
    size_t used = strlen(folder);
    if (used + sizeof "/refork" > sizeof folder) return NULL;
    strcpy(folder + used, "/refork");
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return NULL;
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static struct header make_header(struct cache_key key, const void *data, size_t len) {
    struct header h = {.key = key, .len = len, .crc = crc32c(0, data, len)};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    h.header_crc = crc32c(0, &h, offsetof(struct header, header_crc));
    return h;
}

static bool read_all(int fd, void *buffer, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)buffer + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static void *read_content(int fd, struct cache_key key, size_t *len) {
    struct header h;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !read_all(fd, &h, sizeof h)) return NULL;
    if (h.len > LARGEST || (uint64_t)st.st_size != sizeof h + h.len) return NULL;
    void *data = malloc(h.len ? h.len : 1);
    if (!data) return NULL;
    if (read_all(fd, data, h.len)) {
        const struct header want = make_header(key, data, h.len);
        if (!memcmp(&want, &h, sizeof h)) {
            *len = h.len;
            return data;
        }
    }
    free(data);
    return NULL;
}

void *cache_read(const char *path, struct cache_key key, size_t *len) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return NULL;
    void *data = read_content(fd, key, len);
    close(fd);
    return data;
}

static bool write_all(int fd, const void *buffer, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)buffer + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

int cache_write(const char *path, struct cache_key key, const void *data, size_t len) {
    char *temporary = NULL;
    if (len > LARGEST || asprintf(&temporary, "%s.XXXXXX", path) < 0) return -1;
    int fd = mkostemp(temporary, O_CLOEXEC), result = -1;
    if (fd >= 0) {
        const struct header h = make_header(key, data, len);
        bool good = write_all(fd, &h, sizeof h) && write_all(fd, data, len);
        good = close(fd) == 0 && good;
        // Readers see the old file or the new one, whole.
        if (good && rename(temporary, path) == 0)
            result = 0;
        else
            unlink(temporary);
    }
    free(temporary);
    return result;
}

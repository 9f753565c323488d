#include "replayer/engine/blobs.h"

#include "core/error.h"
#include "replayer/engine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

const void *blobs_get(struct replay *r, uint64_t id, size_t *size) {
    if (!id || id > trace_blob_count(r->trace)) return NULL;
    if (id >= r->blob_count) {
        size_t n = (size_t)trace_blob_count(r->trace) + 1;
        r->blobs = realloc(r->blobs, n * sizeof *r->blobs);
        rf_assert(r->blobs);
        memset(r->blobs + r->blob_count, 0, (n - r->blob_count) * sizeof *r->blobs);
        r->blob_count = n;
    }
    struct blob_map *b = &r->blobs[id];
    if (!b->data) {
        struct rf_error err;
        int fd = trace_blob_fd(r->trace, id, &err);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || !st.st_size) return NULL;
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) return NULL;
        b->data = p;
        b->size = (size_t)st.st_size;
    }
    *size = b->size;
    return b->data;
}

void blobs_free(struct replay *r) {
    for (size_t i = 0; i < r->blob_count; i++)
        if (r->blobs[i].data) munmap((void *)r->blobs[i].data, r->blobs[i].size);
    free(r->blobs);
}

// The files inside a trace, copied into another one that has none yet: for programs that change a trace's events.
#ifndef REFORK_TESTS_COPY_BLOBS_H
#define REFORK_TESTS_COPY_BLOBS_H

#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"

#include <stdlib.h>
#include <unistd.h>

static int copy_blobs(struct trace_reader *in, struct trace_writer *out, struct rf_error *err) {
    for (uint64_t id = 1; id <= trace_blob_count(in); id++) {
        const char *name;
        uint64_t size, copied;
        if (!trace_blob_info(in, id, &name, &size)) return rf_fail(err, RF_BAD_TRACE, "no blob %d", (int)id);
        int fd = trace_blob_fd(in, id, err);
        if (fd < 0) return -1;
        void *bytes = malloc(size + 1);
        bool whole = bytes && pread(fd, bytes, size, 0) == (ssize_t)size;
        if (!whole) rf_fail_errno(err, RF_CANNOT, "could not read blob %d", (int)id);
        int r = whole ? trace_add_bytes(out, bytes, size, name, &copied, err) : -1;
        free(bytes);
        if (r) return -1;
        if (copied != id) return rf_fail(err, RF_CANNOT, "blob %d became %d", (int)id, (int)copied);
    }
    return 0;
}

#endif

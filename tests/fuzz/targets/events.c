// The events of a trace: the input is the content of one chunk of events, with good checksums around it. The first byte says how
// it is stored: even: as it is, odd: the rest is given to the decompressor.
#include "core/trace/crc32c.h"
#include "core/trace/dump.h"
#include "core/trace/trace_format.h"
#include "core/trace/trace_read.h"
#include "tests/fuzz/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct disk_header header(void) {
    struct disk_header h = {.format = TRACE_FORMAT, .header_size = sizeof h, .cpu_level = CPU_V3};
    memcpy(h.magic, TRACE_MAGIC, sizeof h.magic);
    h.crc = crc32c(0, &h, offsetof(struct disk_header, crc));
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 9) return 0;
    struct disk_header h = header();
    struct disk_chunk c = {.magic = CHUNK_MAGIC,
                           .type = CHUNK_EVENTS,
                           .encoding = data[0] % 2 ? CHUNK_ZSTD : CHUNK_RAW,
                           .stored = (uint32_t)(size - 9),
                           .first = 1};
    memcpy(&c.raw, data + 1, sizeof c.raw);
    c.raw = c.encoding == CHUNK_RAW ? c.stored : c.raw % (1 << 20);
    uint32_t events;
    memcpy(&events, data + 5, sizeof events);
    c.extra = events % 4096;
    c.crc = crc32c(0, &c, offsetof(struct disk_chunk, crc));
    c.crc = crc32c(c.crc, data + 9, size - 9);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool made = fd >= 0 && write(fd, &h, sizeof h) == (ssize_t)sizeof h &&
                write(fd, &c, sizeof c) == (ssize_t)sizeof c &&
                write(fd, data + 9, size - 9) == (ssize_t)(size - 9);
    struct trace_reader *r = NULL;
    struct rf_error err = {0};
    if (made && trace_open(path, &r, &err) == 0) {
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        if (out) {
            if (dump_events(out, r, 0, 0, 0, &err) < 0) fuzz_refused(&err);
            err = (struct rf_error){0};
            if (dump_info(out, path, r, &err) < 0) fuzz_refused(&err);
            fclose(out);
        }
        free(text);
        trace_close(r);
    } else if (made) {
        fuzz_refused(&err);
    }
    if (fd >= 0) close(fd);
    return 0;
}

#include "core/memory_digest.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/guard.h"
#include "core/proc_maps.h"
#include "core/tracee.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

enum { REGIONS = 64, ENTRIES_BEFORE_SCAN = 1 << 16 };

// PAGEMAP_SCAN, since Linux 6.7 (include/uapi/linux/fs.h).
struct scan_region {
    uint64_t start, end, categories;
};
struct scan {
    uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
    uint64_t inverted, mask, any, returned;
};
#define SCAN_PAGES _IOWR('f', 16, struct scan)
enum { SCAN_PRESENT = 1 << 3, SCAN_SWAPPED = 1 << 4 };

enum { DIGEST_BATCH = 256 };

struct digest {
    XXH3_state_t *state;
    int mem_fd, pagemap;
    uint64_t bytes;
    char buffer[DIGEST_BATCH * PAGE];
};

static void digest_run(struct digest *d, uint64_t address, size_t pages) {
    static const char zero[PAGE];
    ssize_t n = pread(d->mem_fd, d->buffer, pages * PAGE, (off_t)address);
    for (size_t i = 0; n > 0 && i < (size_t)n / PAGE; i++) {
        const char *page = d->buffer + i * PAGE;
        if (!memcmp(page, zero, PAGE)) continue;
        uint64_t at = address + i * PAGE;
        XXH3_64bits_update(d->state, &at, sizeof at);
        XXH3_64bits_update(d->state, page, PAGE);
        d->bytes += PAGE;
    }
}

// Bit 63 present, 62 swapped, 61 file-backed or shared (Documentation/admin-guide/mm/pagemap.rst). A page that the kernel is migrating at
// this moment (compaction) shows as swapped, and bit 61 depends on how far it is (by reading mm/migrate.c; not seen on a machine
// yet): reading the page waits for that, and swaps a swapped one in; then its entry tells.
static bool is_private(const struct digest *d, uint64_t entry, uint64_t address) {
    for (int tries = 0; entry >> 62 & 1 && tries < 1000; tries++) {
        char byte;
        if (pread(d->mem_fd, &byte, 1, (off_t)address) != 1 ||
            pread(d->pagemap, &entry, 8, (off_t)(address / PAGE * 8)) != 8)
            break;
    }
    return entry >> 62 && !(entry >> 61 & 1);
}

static void digest_range(struct digest *d, uint64_t start, uint64_t end) {
    uint64_t entries[DIGEST_BATCH];
    for (uint64_t at = start; at < end;) {
        size_t want = (end - at) / PAGE < DIGEST_BATCH ? (size_t)((end - at) / PAGE) : DIGEST_BATCH;
        ssize_t n = pread(d->pagemap, entries, want * 8, (off_t)(at / PAGE * 8));
        if (n <= 0) break;
        size_t got = (size_t)n / 8;
        for (size_t i = 0; i < got;) {
            if (!is_private(d, entries[i], at + i * PAGE)) {
                i++;
                continue;
            }
            size_t j = i;
            while (j < got && is_private(d, entries[j], at + j * PAGE))
                j++;
            digest_run(d, at + i * PAGE, j - i);
            i = j;
        }
        at += got * PAGE;
    }
}

// ThreadSanitizer's and AddressSanitizer's shadow is terabytes, nearly all of it without a page: reading an entry for each of them took
// hours. The kernel finds the pages that there are. Older ones cannot: then it is the slow way.
static void digest_large(struct digest *d, uint64_t start, uint64_t end) {
    while (start < end) {
        struct scan_region found[REGIONS];
        struct scan scan = {.size = sizeof scan,
                            .start = start,
                            .end = end,
                            .regions = (uintptr_t)found,
                            .region_count = REGIONS,
                            .any = SCAN_PRESENT | SCAN_SWAPPED,
                            .returned = SCAN_PRESENT | SCAN_SWAPPED};
        int n = ioctl(d->pagemap, SCAN_PAGES, &scan);
        if (n < 0 || scan.walk_end <= start) {
            digest_range(d, start, end);
            return;
        }
        for (int i = 0; i < n; i++)
            digest_range(d, found[i].start, found[i].end);
        start = scan.walk_end;
    }
}

uint64_t memory_digest(pid_t pid, int mem_fd, uint64_t *bytes) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    scoped_fd int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    scoped_maps struct proc_maps maps;
    struct proc_map map;
    proc_maps_open(&maps, pid);
    struct digest *d = malloc(sizeof *d);
    d->state = XXH3_createState();
    XXH3_64bits_reset(d->state);
    d->mem_fd = mem_fd;
    d->pagemap = pagemap;
    d->bytes = 0;
    while (proc_maps_next(&maps, &map)) {
        // Code that cannot be written holds the file's bytes and refork's patches; whether a page of it was
        // ever copied for a patch that has been taken back differs between recording and replay.
        bool fixed_code = map.prot & PROT_EXEC && !(map.prot & PROT_WRITE);
        if (map.shared || fixed_code || annex_contains(map.start) || strstr(map.name, "[v"))
            continue; // [vdso], [vvar], [vsyscall]
        if ((map.end - map.start) / PAGE > ENTRIES_BEFORE_SCAN)
            digest_large(d, map.start, map.end);
        else
            digest_range(d, map.start, map.end);
    }
    uint64_t result = XXH3_64bits_digest(d->state);
    if (bytes) *bytes = d->bytes;
    XXH3_freeState(d->state);
    free(d);
    return result;
}

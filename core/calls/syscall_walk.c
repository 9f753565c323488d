#include "core/calls/syscall_walk.h"

#include "core/abi.h"

#include <limits.h>

void walk_add(struct walk *w, int dir, int arg, uint64_t address, uint64_t size) {
    if (!address || !size || w->count < 0) return;
    if (w->count > 0 && arg < 0) {
        struct syscall_range *last = &w->out[w->count - 1];
        if (last->dir == dir && last->arg < 0 && last->address + last->size == address) {
            last->size += size;
            return;
        }
    }
    if (w->count == SYSCALL_RANGES) {
        w->count = -2;
        return;
    }
    w->out[w->count++] = (struct syscall_range){(uint8_t)dir, (int8_t)arg, address, size};
}

// Bytes from `address` on that can be read, `size` at most. Readability changes at page ends only.
static uint64_t readable(struct walk *w, uint64_t address, uint64_t size) {
    char byte;
    uint64_t good = 0;
    while (good < size && walk_read(w, address + good, &byte, 1))
        good = next_page(address + good) - address;
    return good < size ? good : size;
}

void walk_add_readable(struct walk *w, int dir, int arg, uint64_t address, uint64_t size) {
    if (address && size) walk_add(w, dir, arg, address, readable(w, address, size));
}

void walk_iovec(struct walk *w, int dir, uint64_t address, uint64_t count, uint64_t limit) {
    struct {
        uint64_t base, len;
    } entries[32];
    if (count > IOV_MAX) return; // EINVAL
    if (limit > MAX_RW_COUNT) limit = MAX_RW_COUNT;
    for (uint64_t done = 0; done < count && limit && w->count >= 0;) {
        uint64_t n = count - done < 32 ? count - done : 32;
        if (!walk_read(w, address + done * sizeof entries[0], entries, n * sizeof entries[0])) return;
        for (uint64_t i = 0; i < n && limit; i++) {
            uint64_t len = entries[i].len < limit ? entries[i].len : limit;
            walk_add(w, dir, -1, entries[i].base, len);
            limit -= len;
        }
        done += n;
    }
}

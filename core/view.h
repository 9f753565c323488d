// One address space of the replay at one moment, as unwinding, symbols and analysis see it: no ptrace in
// here.
#ifndef REFORK_CORE_VIEW_H
#define REFORK_CORE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

struct view_map {
    uint64_t start, end; // page-aligned, [start, end)
    uint64_t offset;     // offset of `start` in the blob (file)
    uint64_t blob;       // blob id of the mapped file in the trace, 0: anonymous
    int prot;            // PROT_*
    const char *name;    // file name, "[stack]", "[annex]" or ""
};

struct view {
    const struct view_map *maps; // sorted by start
    size_t map_count;
    // Reads memory of the address space; true when all of it could be read.
    bool (*read)(void *context, uint64_t address, void *buffer, size_t len);
    // The whole content of blob `id`, mapped read-only for the life of the view's owner; NULL when
    // unreadable.
    const void *(*blob)(void *context, uint64_t id, size_t *size);
    void *context;
};

const struct view_map *view_find(const struct view *v, uint64_t address); // NULL: not mapped

#endif

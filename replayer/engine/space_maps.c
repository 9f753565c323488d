#include "replayer/engine/space_maps.h"

#include "core/array.h"
#include "core/error.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"

#include <stdlib.h>
#include <string.h>

// The index of the first map that ends behind `address`; of none: how many there are.
static size_t first_behind(const struct space *s, uint64_t address) {
    return array_before(s->maps, s->map_count, map, map->v.end <= address);
}

const struct space_map *space_map_at(const struct space *s, uint64_t address) {
    size_t i = first_behind(s, address);
    return i < s->map_count && s->maps[i].v.start <= address ? &s->maps[i] : NULL;
}

static struct space_map cut(struct space_map m, uint64_t start, uint64_t end) {
    m.v.offset += start - m.v.start;
    m.v.start = start;
    m.v.end = end;
    return m;
}

static void split_at(struct space *s, uint64_t at) {
    size_t i = first_behind(s, at);
    if (i == s->map_count || s->maps[i].v.start >= at) return;
    struct space_map m = s->maps[i];
    s->maps[i] = cut(m, m.v.start, at);
    array_insert(s->maps, s->map_count, i + 1, cut(m, at, m.v.end));
}

// Makes [start, end) begin and end at map boundaries; returns the index of the first map at or after start.
static size_t split(struct space *s, uint64_t start, uint64_t end) {
    split_at(s, start);
    split_at(s, end);
    return first_behind(s, start);
}

void space_maps_remove(struct space *s, uint64_t start, uint64_t end) {
    planted_unmapped(s, start, end);
    if (!s->map_count) return;
    size_t i = split(s, start, end), n = 0;
    while (i + n < s->map_count && s->maps[i + n].v.end <= end)
        n++;
    memmove(s->maps + i, s->maps + i + n, (s->map_count - i - n) * sizeof *s->maps);
    s->map_count -= n;
}

void space_maps_add(struct space *s, struct space_map m) {
    space_maps_remove(s, m.v.start, m.v.end);
    m.announced = false;
    s->maps_changed = true;
    array_insert(s->maps, s->map_count, first_behind(s, m.v.start), m);
}

// Breakpoints stand only in code that cannot be written: what it is now is announced anew.
void space_maps_new_code(struct replay *r, struct space *s, uint64_t start, uint64_t end) {
    planted_take_out(r, s, start, end);
    for (size_t i = split(s, start, end); i < s->map_count && s->maps[i].v.end <= end; i++)
        s->maps[i].announced = false;
    s->maps_changed = true;
}

void space_maps_protect(struct replay *r, struct space *s, uint64_t start, uint64_t end, int prot) {
    space_maps_new_code(r, s, start, end);
    for (size_t i = split(s, start, end); i < s->map_count && s->maps[i].v.end <= end; i++)
        s->maps[i].v.prot = prot;
}

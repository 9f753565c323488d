#include "core/view.h"

#include "core/array.h"

const struct view_map *view_find(const struct view *v, uint64_t address) {
    size_t i = array_before(v->maps, v->map_count, map, map->end <= address);
    return i < v->map_count && v->maps[i].start <= address ? &v->maps[i] : NULL;
}

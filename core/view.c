#include "core/view.h"

const struct view_map *view_find(const struct view *v, uint64_t address) {
    size_t low = 0, high = v->map_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct view_map *m = &v->maps[middle];
        if (address < m->start)
            high = middle;
        else if (address >= m->end)
            low = middle + 1;
        else
            return m;
    }
    return NULL;
}

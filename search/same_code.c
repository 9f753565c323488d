#include "search/same_code.h"

#include "core/path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

bool same_file(const struct view *v, const char *name, uint64_t content, struct module *out) {
    if (!name || !content) return false;
    for (size_t i = 0; i < v->map_count; i++) {
        const struct view_map *map = &v->maps[i];
        if (!map->blob || !(map->prot & PROT_EXEC) || strcmp(base_name(map->name), name) != 0) continue;
        if (module_at(v, map->start, out) && XXH3_64bits(out->image, out->size) == content) return true;
    }
    return false;
}

char *trimmed_line(const char *text) {
    if (!text) return NULL;
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    return len ? strndup(text, len) : NULL;
}

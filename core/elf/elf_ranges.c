#include "core/elf/elf_ranges.h"

#include "core/array.h"

#include <stdlib.h>

bool elf_ranges_add(struct elf_ranges *ranges, uint64_t start, uint64_t end) {
    struct elf_range *range = array_try_add(ranges->v, ranges->count);
    if (range) *range = (struct elf_range){start, end};
    return range;
}

static int compare_ranges(const void *left, const void *right) {
    const struct elf_range *a = left, *b = right;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

void elf_ranges_sort(struct elf_ranges *ranges) {
    if (ranges->count) qsort(ranges->v, ranges->count, sizeof *ranges->v, compare_ranges);
}

const struct elf_range *elf_ranges_find(const struct elf_ranges *ranges, uint64_t vaddr) {
    size_t behind = array_before(ranges->v, ranges->count, range, range->start <= vaddr);
    // aliases and nested symbols: a few steps back find the enclosing one
    for (size_t i = behind, tries = 0; i-- > 0 && tries < 16; tries++)
        if (vaddr < ranges->v[i].end) return &ranges->v[i];
    return NULL;
}

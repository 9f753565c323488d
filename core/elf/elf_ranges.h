// Ranges of addresses, sorted and searched.
#ifndef REFORK_CORE_ELF_ELF_RANGES_H
#define REFORK_CORE_ELF_ELF_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Functions known by a table that cannot be searched in place, sorted by start, built at first use.
struct elf_ranges {
    struct elf_range {
        uint64_t start, end;
    } * v;
    size_t count;
    bool built;
};

bool elf_ranges_add(struct elf_ranges *ranges, uint64_t start, uint64_t end);
void elf_ranges_sort(struct elf_ranges *ranges);
const struct elf_range *elf_ranges_find(const struct elf_ranges *ranges, uint64_t vaddr);

#endif

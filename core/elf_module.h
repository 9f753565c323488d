// The inside of struct elf_module, shared by elf_module.c, elf_frames.c and trap_sites.c only. Users include
// core/code.h.
#ifndef REFORK_CORE_ELF_MODULE_H
#define REFORK_CORE_ELF_MODULE_H

#include "core/code.h"

#include <elf.h>
#include <string.h>

#undef EV_NONE // <elf.h>'s invalid version; core/event.h has an enum constant of that name

// Functions known by a table that cannot be searched in place, sorted by start, built at first use.
struct elf_ranges {
    struct elf_range {
        uint64_t start, end;
    } * v;
    size_t count;
    bool built;
};

struct elf_module {
    const uint8_t *image;
    size_t size;
    uint16_t type;
    Elf64_Phdr *loads; // PT_LOADs, p_filesz cut to what the file has
    size_t load_count;
    uint64_t dynamic; // file offset of the dynamic section
    uint64_t dynamic_vaddr;
    size_t dynamic_count; // entries, the DT_NULLs at the end included
    uint64_t eh_hdr, eh_hdr_vaddr, eh_hdr_size;
    uint64_t shoff;
    size_t shnum;
    struct elf_ranges frames, symbols;
};

// Copies `len` bytes at a file offset; false when the file does not have them all.
static inline bool elf_read(const struct elf_module *m, uint64_t offset, void *buffer, size_t len) {
    if (offset > m->size || len > m->size - offset) return false;
    memcpy(buffer, m->image + offset, len);
    return true;
}

static inline bool elf_section(const struct elf_module *m, size_t index, Elf64_Shdr *section) {
    return index < m->shnum && elf_read(m, m->shoff + index * sizeof *section, section, sizeof *section);
}

// From the frame tables alone. *lsda: the function has a language-specific data area (landing pads).
bool elf_frames_function(const struct elf_module *m, uint64_t vaddr, uint64_t *start, uint64_t *end,
                         bool *lsda);
// The end of the last function of the frame tables that ends at or before vaddr; 0 when none.
uint64_t elf_frames_end_before(const struct elf_module *m, uint64_t vaddr);

bool elf_ranges_add(struct elf_ranges *ranges, uint64_t start, uint64_t end);
void elf_ranges_sort(struct elf_ranges *ranges);
const struct elf_range *elf_ranges_find(const struct elf_ranges *ranges, uint64_t vaddr);

#endif

// The inside of struct elf_module, for the files that parse it.
#ifndef REFORK_CORE_ELF_ELF_INSIDE_H
#define REFORK_CORE_ELF_ELF_INSIDE_H

#include "core/elf/elf_module.h"
#include "core/elf/elf_ranges.h"

#include <elf.h>
#include <string.h>

#undef EV_NONE // <elf.h>'s invalid version; core/event.h has an enum constant of that name

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

#endif

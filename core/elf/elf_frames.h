// Function ranges from .eh_frame_hdr and .eh_frame.
#ifndef REFORK_CORE_ELF_ELF_FRAMES_H
#define REFORK_CORE_ELF_ELF_FRAMES_H

#include "core/elf/elf_module.h"

// From the frame tables alone. *lsda: the function has a language-specific data area (landing pads).
bool elf_frames_function(const struct elf_module *m, uint64_t vaddr, uint64_t *start, uint64_t *end,
                         bool *lsda);
// The end of the last function of the frame tables that ends at or before vaddr; 0 when none.
uint64_t elf_frames_end_before(const struct elf_module *m, uint64_t vaddr);

#endif

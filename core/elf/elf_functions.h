// Which function of an ELF module covers an address, and where a name is: frame tables, then symbols.
#ifndef REFORK_CORE_ELF_ELF_FUNCTIONS_H
#define REFORK_CORE_ELF_ELF_FUNCTIONS_H

#include "core/elf/elf_module.h"

// The function range [*start, *end) (link-time) that holds vaddr: from .eh_frame_hdr/.eh_frame FDEs, else
// from .symtab/.dynsym sizes; false if neither knows it.
bool elf_module_function(const struct elf_module *m, uint64_t vaddr, uint64_t *start, uint64_t *end);

// The link-time address of a defined function or object: .symtab, else .dynsym; a version behind '@' is left out.
bool elf_module_symbol(const struct elf_module *m, const char *name, uint64_t *vaddr);

// Whether the function that holds vaddr has C++ landing pads (an LSDA in its FDE): then code that no direct
// branch of it reaches may jump into the middle of it.
bool elf_module_has_landing_pads(const struct elf_module *m, uint64_t vaddr);

#endif

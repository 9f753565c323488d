// A parsed ELF module: what the recorder and the replayer need of a mapped file, besides its functions
// (core/elf/elf_functions.h) and instructions. Pure.
#ifndef REFORK_CORE_ELF_ELF_MODULE_H
#define REFORK_CORE_ELF_ELF_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Hostile input as well (the file may be anything): all offsets are checked, no failure aborts.
struct elf_module;

// Parses an ELF64 x86-64 image of `size` bytes (kept by reference: `image` must outlive the module). NULL:
// not one.
struct elf_module *elf_module_parse(const void *image, size_t size);
void elf_module_free(struct elf_module *m);
bool elf_module_is_pie(const struct elf_module *m); // ET_DYN
// Made by the Go compiler, stripped or not: only its programs have a section .go.buildinfo.
bool elf_module_is_go(const struct elf_module *m);

// File offset <-> link-time address by the PT_LOADs. false: not covered by file bytes.
bool elf_module_to_vaddr(const struct elf_module *m, uint64_t offset, uint64_t *vaddr);
bool elf_module_to_offset(const struct elf_module *m, uint64_t vaddr, uint64_t *offset);
// Load bias of a module of which file offset `offset` is mapped at `address`.
bool elf_module_bias(const struct elf_module *m, uint64_t offset, uint64_t address, uint64_t *bias);

// ---- JUMP_SLOTs (PLT clock)

struct elf_slot {
    uint64_t vaddr;   // link-time address of the slot
    uint64_t initial; // its content in the file (unrelocated)
};
// R_X86_64_JUMP_SLOT relocations (DT_JMPREL). Returns a malloc'ed array, *count; NULL and 0 when none.
struct elf_slot *elf_module_slots(const struct elf_module *m, size_t *count);

// What to write into the dynamic section (in memory, at link-time address *vaddr, 16 bytes at most) to make
// ld.so bind this module eagerly: DF_BIND_NOW in an existing DT_FLAGS, DF_1_NOW in an existing DT_FLAGS_1, or
// a DT_BIND_NOW entry in the spare DT_NULLs at its end (another DT_NULL must follow). 1: write `bytes[*len]`
// at *vaddr; 0: it is bound eagerly already (DT_BIND_NOW, DF_BIND_NOW, DF_1_NOW) or has no DT_JMPREL; -1: no
// way.
int elf_module_bind_now(const struct elf_module *m, uint64_t *vaddr, uint8_t bytes[16], size_t *len);

#endif

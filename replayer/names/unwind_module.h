// The ELF module at an address of a view: where it was loaded and what its file says. Private to unwinding
// and symbols. The file's bytes are hostile input: nothing is read without a check against the blob's size.
#ifndef REFORK_REPLAYER_NAMES_UNWIND_MODULE_H
#define REFORK_REPLAYER_NAMES_UNWIND_MODULE_H

#include "core/view.h"

#include <elf.h>

#define MODULE_SEGMENTS 16

struct module {
    uint64_t blob;
    const uint8_t *image; // the blob's bytes, lives as long as the view's owner
    size_t size;
    const char *path;                         // as the map says
    uint64_t bias;                            // run-time address - link-time address
    uint64_t low, high;                       // link-time extent of the PT_LOADs, page-aligned
    uint64_t entry;                           // link-time e_entry
    uint64_t eh_frame_hdr, eh_frame_hdr_size; // link-time; size 0: none
    bool relocatable;                         // ET_DYN
    Elf64_Phdr load[MODULE_SEGMENTS];
    int load_count;
};

// The module that `address` belongs to (its anonymous .bss included). false: none, or not an ELF64 x86-64
// file.
bool module_at(const struct view *v, uint64_t address, struct module *out);

// Bytes of the file as they were mapped at run-time address `address`; only of segments that are not
// writable, so that they are what the program saw. false: not (all) in the file.
bool module_read(const struct module *m, uint64_t address, void *buffer, size_t len);

// Run-time bounds of the function that covers `pc` by .symtab or .dynsym. false: no symbol with a size covers
// it.
bool module_function(const struct module *m, uint64_t pc, uint64_t *start, uint64_t *end);

#endif

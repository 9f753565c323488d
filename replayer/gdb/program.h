// What the program that a process runs says of itself: its auxiliary vector, its program headers, its dynamic linker's list.
#ifndef REFORK_REPLAYER_GDB_PROGRAM_H
#define REFORK_REPLAYER_GDB_PROGRAM_H

#include "replayer/gdb/inside.h"

#include <elf.h>

enum { PROGRAM_AUXV = 256 };

struct program {
    Elf64_auxv_t auxv[PROGRAM_AUXV];
    size_t auxv_count; // 0: it cannot be read
    uint64_t bias;     // run-time address - link-time address
};

// Of the process that gdb looks at.
void program_read(struct gdb *g, struct program *p);
uint64_t program_auxv(const struct program *p, uint64_t type); // 0: there is none
// Its n-th (0, 1, ...) program header. false: it has no more, or they cannot be read.
bool program_header(struct gdb *g, const struct program *p, uint64_t n, Elf64_Phdr *out);
// The first one of the type.
bool program_find_header(struct gdb *g, const struct program *p, uint32_t type, Elf64_Phdr *out);
// The first struct link_map of the dynamic linker's list, which is the program's; 0: a static program, or one that has not begun.
uint64_t program_link_map(struct gdb *g, const struct program *p);

#endif

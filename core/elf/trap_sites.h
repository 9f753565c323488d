// Instructions that must trap, since what they tell differs from run to run or from machine to machine.
#ifndef REFORK_CORE_ELF_TRAP_SITES_H
#define REFORK_CORE_ELF_TRAP_SITES_H

#include "core/elf/elf_module.h"

struct trap_site {
    uint64_t vaddr;
    uint8_t kind;   // enum trap_kind of core/event.h; TRAP_RDTSC and TRAP_RDTSCP only with `tsc`
    uint8_t length; // of the instruction, prefixes included
};
// Finds cpuid, rdrand, rdseed, rdpid, xgetbv, xsave, xsavec, xsaveopt and fxsave (and rdtsc, rdtscp if `tsc`) in the executable PT_LOADs: byte patterns, each
// confirmed as an instruction boundary by decoding from the start of its function (eh_frame, symbols; without
// either, a linear sweep of the executable section from its start). An unconfirmed match is not returned.
// malloc'ed, sorted by vaddr.
struct trap_site *elf_module_trap_sites(const struct elf_module *m, bool tsc, size_t *count);

// Decodes one trapped instruction at `code`: kind (enum trap_kind), total length, for rdrand/rdseed/rdpid the
// destination register (0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8..15) and its width in bits
// (16, 32, 64). false: none of them.
struct trap_instruction {
    int kind;
    int length;
    int reg;
    int width;
    bool compact; // xsavec
    bool legacy;  // fxsave; width 64: fxsave64
};
bool code_trap_instruction(const uint8_t *code, size_t len, struct trap_instruction *out);
// From an instruction's first byte on, up to the end of its function (a `ret`), an `int3` (which may be refork's own, and hide
// an instruction) or to what is no instruction: where the next one of those is, cpuid, rdtsc and rdtscp apart. `from`: an
// offset, as the one behind the last that was found. `len`: none.
size_t code_trap_ahead(const uint8_t *code, size_t len, size_t from);

#endif

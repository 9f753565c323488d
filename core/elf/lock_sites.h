// Lock sites: the atomic read-modify-write instructions of a module.
#ifndef REFORK_CORE_ELF_LOCK_SITES_H
#define REFORK_CORE_ELF_LOCK_SITES_H

#include "core/elf/elf_module.h"

enum {
    // The instruction behind a lock prefix that a branch of the module jumps over: glibc's
    //     cmpl $0,%fs:0x18 / je 1f / lock / 1: cmpxchg %ecx,(%rdx)
    // Another site with the same end and the prefix begins before it. Breakpoints at both overlap: decode
    // from the program's own bytes.
    LOCK_SITE_SECOND_ENTRY = 1,
    // Found by sweeping bytes that no function of .eh_frame or the symbols covers. Matches within 128 bytes of
    // something that is no plausible code (libcrypto has tables of constants in .text: 416 matches) are not
    // returned.
    LOCK_SITE_SWEPT = 2,
};

struct lock_site {
    uint64_t vaddr;    // link-time
    uint8_t length;    // prefixes included
    uint8_t operation; // enum atomic_operation of core/atomic_emulate.h
    uint8_t size;      // of the memory operand, bytes
    uint8_t flags;     // LOCK_SITE_*
};

// Every instruction with a memory destination and a lock prefix, every xchg with memory, and the second
// entries, of the executable PT_LOADs: functions known by .eh_frame or symbols are decoded from their start;
// the rest of the executable sections (without section headers: of the segment) is swept linearly.
// malloc'ed, sorted by vaddr, without duplicates; NULL and 0 when none (or out of memory). Costs some 20 ms
// for libc, 0.7 s for libLLVM: keep the result by build-id.
struct lock_site *elf_module_lock_sites(const struct elf_module *m, size_t *count);

#endif

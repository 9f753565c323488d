// What the recorder needs to know of ELF files, and the PLT stubs that it gives them.
#ifndef REFORK_RECORDER_MODULES_H
#define REFORK_RECORDER_MODULES_H

#include "core/elf/elf_module.h"
#include "core/event.h"
#include "core/elf/trap_sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct mm;
struct recorder;
struct task;

// Of an address space.
struct module_slots {
    uint32_t stubs; // PLT stubs used
    struct pending_module *pending;
};

// A module mapped in an address space whose JUMP_SLOTs still wait for ld.so's relocation.
struct pending_module {
    uint64_t bias;
    struct module_facts *facts;
    size_t done;      // slots already sent through stubs
    uint8_t *patched; // one flag per slot
    int tries;
    struct pending_module *next;
};

// What the recorder needs to know of an ELF file, worked out once per content.
struct module_facts {
    uint64_t blob;
    bool elf, dynamic; // dynamic: has PT_INTERP or is a shared object that ld.so maps
    struct trap_site *traps;
    size_t trap_count;
    struct elf_slot *slots;
    size_t slot_count;
    int bind_now; // 1: write, 0: bound eagerly already, -1: no way (no PLT clock for this module)
    uint64_t bind_vaddr;
    uint8_t bind_bytes[16];
    size_t bind_len;
    struct load {
        uint64_t offset, vaddr, size;
        int prot;
    } loads[16];
    int load_count;
    struct module_facts *next;
};
// The load bias of a module of which file offset `offset` is mapped at `address`.
bool module_bias(const struct module_facts *f, uint64_t offset, uint64_t address, int prot, uint64_t *bias);
// NULL: not an ELF file.
struct module_facts *module_facts(struct recorder *r, int fd, uint64_t blob);
// A part of the module has been mapped (map->length: as the program asked): patches what must trap, makes binding
// eager, and (when the mapping begins the module) queues its slots.
void module_mapped(struct recorder *r, struct task *t, struct batch *b, struct module_facts *f,
                   const struct piece_map *map, bool queue_slots);
void modules_free(struct recorder *r);
// Modules whose slots have been relocated meanwhile get their stubs.
void modules_patch_slots(struct recorder *r, struct task *t, struct batch *b);
void slots_fork(struct mm *child, const struct mm *parent);
void slots_release(struct mm *mm);

#endif

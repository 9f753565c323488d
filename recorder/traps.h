// Instructions that refork carries out itself.
#ifndef REFORK_RECORDER_TRAPS_H
#define REFORK_RECORDER_TRAPS_H

#include "core/elf/trap_sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

struct recorder;
struct task;

// First bytes of patched instructions that do not begin with 0x0f.
struct saved_bytes {
    struct saved_byte {
        uint64_t address;
        uint8_t byte;
    } all[256];
    int count;
};

// Such an instruction of a task.
struct trapped {
    struct trap_instruction instruction;
    uint64_t at;
    uint8_t *area; // what an xsave stores (malloc'ed), its place and size; else NULL
    uint64_t address;
    size_t size;
};

// What was read of t's memory at `address`, for a debugger in the recording: the program's own bytes in place of refork's int3s.
void trapped_hide(const struct task *t, uint64_t address, uint8_t *bytes, size_t len);
// What such a one is about to write there: where it is what was shown, the int3 stays.
void trapped_keep(const struct task *t, uint64_t address, uint8_t *bytes, size_t len);
// At an int3 of ours (pc behind it) or a fault on the instruction itself (pc at it). False: it is none of those
// instructions, or would fault.
bool trapped_find(const struct recorder *r, struct task *t, const struct user_regs_struct *regs, bool int3,
                  struct trapped *out);
// Carries it out and logs TRAP; releases what *x holds. *regs are t's, before and after.
void trapped_carry_out(struct recorder *r, struct task *t, struct user_regs_struct *regs, struct trapped *x);

#endif

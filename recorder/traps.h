// Instructions that refork carries out itself.
#ifndef REFORK_RECORDER_TRAPS_H
#define REFORK_RECORDER_TRAPS_H

#include <stdbool.h>
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

// At an int3 of ours (pc behind it) or a fault on the instruction itself (pc at it): carries it out and logs
// TRAP. false: it is none of those instructions, or would fault.
bool trapped_instruction(struct recorder *r, struct task *t, struct user_regs_struct *regs, bool int3);

#endif

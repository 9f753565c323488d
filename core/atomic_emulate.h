// One atomic read-modify-write instruction: what it is, and carrying it out without the CPU.
// Pure (bytes in, registers and memory through callbacks); Zydis decodes.
#ifndef REFORK_CORE_ATOMIC_EMULATE_H
#define REFORK_CORE_ATOMIC_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

enum atomic_operation {
    ATOMIC_NONE,
    ATOMIC_CMPXCHG, // cmpxchg, cmpxchg8b, cmpxchg16b (size 8 and 16: see `pair`)
    ATOMIC_XCHG,
    ATOMIC_XADD,
    ATOMIC_ADD,
    ATOMIC_ADC,
    ATOMIC_SUB,
    ATOMIC_SBB,
    ATOMIC_INC,
    ATOMIC_DEC,
    ATOMIC_NEG,
    ATOMIC_NOT,
    ATOMIC_AND,
    ATOMIC_OR,
    ATOMIC_XOR,
    ATOMIC_BTS,
    ATOMIC_BTR,
    ATOMIC_BTC,
};

// What the bytes say.
struct atomic_instruction {
    uint8_t operation; // enum atomic_operation
    uint8_t length;    // prefixes included
    uint8_t size;      // of the memory operand, bytes: 1, 2, 4, 8, 16
    bool pair;         // cmpxchg8b, cmpxchg16b
    bool locked;       // a lock prefix, or xchg
};

// Whether `code` begins with a read-modify-write instruction that a lock prefix may stand before and whose
// destination is memory. Without the prefix as well (`locked` false): what runs when the prefix is jumped
// over.
bool atomic_decode(const uint8_t *code, size_t len, struct atomic_instruction *out);

// Memory of the program. false: such an access would fault (nothing was written).
struct atomic_memory {
    bool (*read)(void *context, uint64_t address, void *buffer, size_t len);
    bool (*write)(void *context, uint64_t address, const void *buffer, size_t len);
    void *context;
};

// A value of up to 16 bytes, low half first, zero-extended.
struct atomic_value {
    uint64_t low, high;
};

struct atomic_result {
    struct atomic_instruction instruction;
    // Linear, of the first byte accessed; for bts with a bit number in a register: of the word that holds the bit.
    uint64_t address;
    struct atomic_value before, after; // the memory operand; equal for a failed cmpxchg
    // What was to be stored (cmpxchg, xchg) or combined (add, or, ...; the mask of the one bit for bts, btr, btc).
    struct atomic_value operand;
    bool failed; // cmpxchg that found another value
};

// Carries out the instruction at `code` (the program's own bytes, no breakpoint), which stands at regs->rip:
// memory, destination registers, flags, rip. 0; -1: a callback said fault, or it is an unaligned cmpxchg16b
// (#GP): registers are as they were, the CPU would have faulted; -2: not an instruction of atomic_decode.
//
// As the CPU does, a failed cmpxchg writes the old value back: `write` is called in every case, so that a
// write-protected page faults.
//
// Flags: everything that the manuals define. Left undefined there, and done like this here: AF after and, or,
// xor is cleared; OF SF AF PF after bts, btr, btc are left alone (ZF is defined to be).
int atomic_emulate(const uint8_t *code, size_t len, struct user_regs_struct *regs,
                   const struct atomic_memory *memory, struct atomic_result *out);

#endif

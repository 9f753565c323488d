// What one instruction is about to do: the memory that it touches, where it goes on, what a branch behind it goes by.
// Pure; Zydis decodes.
#ifndef REFORK_CORE_CODE_OPERANDS_H
#define REFORK_CORE_CODE_OPERANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

// The memory of one address space: reads may fail. Code must be the program's own, without breakpoints of refork's.
struct code_memory {
    bool (*read)(void *context, uint64_t address, void *buffer, size_t len);
    void *context;
};

// A memory operand of an instruction: its effective address and its size in bytes, written (perhaps read too) or only
// read. The stack words of push, pop, call, ret are operands, too.
struct memory_operand {
    uint64_t address;
    uint8_t size;
    bool written;
};
// Those of the instruction at regs->rip. Returns their number (0..4), -1 when it cannot be decoded or its extent is not in
// its operands (rep strings, xsave, gathers, enter).
int code_memory_operands(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
                         struct memory_operand out[4]);
// The effective address of its first memory operand, whatever its extent. false: it has none.
bool code_memory_address(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
                         uint64_t *address);

// Is the memory operand a general register other than rsp, with nothing but a displacement? Then *displacement.
bool code_operand_register(const uint8_t *code, size_t len, int32_t *displacement);

// The length of a string instruction with a repeat prefix, 0 for any other. The CPU can be interrupted between any two of
// its iterations, with pc still at it, and traps behind each one when it is single-stepped (SDM vol. 1, 7.3.9.3).
int code_repeats(const uint8_t *code, size_t len);

// The length of the instruction at `pc`, 0 when it cannot be decoded. *target: where a direct jump (not a call)
// goes when it is taken, else 0.
int code_length(const uint8_t *code, size_t len, uint64_t pc, uint64_t *target);

// What an instruction that is about to be executed does in a loop: the memory that it touches, and the number that
// a branch behind it goes by.
struct code_step {
    struct memory_operand operands[4];
    int operand_count; // -1: as code_memory_operands
    uint8_t hidden; // bit per operand: the stack word of push, pop, call, ret; where an indirect branch goes
    bool syscall, pause;
    bool atomic;      // lock prefix, or xchg with memory
    bool reads_flags; // jcc, setcc, cmov, adc...
    bool sets_flags;  // then `distance` is what the flags tell:
    bool ordered;     // how far the two sides are from being equal (a comparison), or the result from 0;
    double distance;  // else some number that is the same when the operands are
    bool of_second;   // a comparison with the nanoseconds of a second
    bool needs_fp;    // `distance` is without registers that it needs: `fp` was NULL
};
// `fp`: the x87 and xmm registers; NULL when they are not at hand. false: not an instruction.
bool code_step(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
               const struct user_fpregs_struct *fp, const struct code_memory *memory, struct code_step *out);

// Where the instruction at regs->rip, which is about to be executed, may go on: both ways of a conditional branch. The
// number of them; 0: not an instruction, or its target cannot be read. A syscall goes on behind it.
int code_next(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
              const struct code_memory *memory, uint64_t next[2]);

#endif

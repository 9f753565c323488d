// One instruction of a loop that is being watched: what it touches and what its branches go by. Pure, as
// core/code.h.
#ifndef REFORK_CORE_CODE_STEP_H
#define REFORK_CORE_CODE_STEP_H

#include "core/code.h"

#include <sys/user.h>

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
};
// `fp`: the x87 and xmm registers; NULL when they are not at hand (then *needs_fp says that they decide). false: not
// an instruction.
bool code_step(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
               const struct user_fpregs_struct *fp, code_reader read, void *context, struct code_step *out,
               bool *needs_fp);

// Where the instruction at regs->rip, which is about to be executed, may go on: both ways of a conditional branch. The
// number of them; 0: not an instruction, or its target cannot be read. A syscall goes on behind it.
int code_next(const uint8_t *code, size_t len, const struct user_regs_struct *regs, code_reader read,
              void *context, uint64_t next[2]);

#endif

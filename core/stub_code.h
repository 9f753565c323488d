// Writing the code of stubs, and instructions that run in another place than they were made for. Pure; Zydis decodes.
#ifndef REFORK_CORE_STUB_CODE_H
#define REFORK_CORE_STUB_CODE_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- what an instruction is

bool code_decode(const uint8_t *bytes, size_t len, ZydisDecodedInstruction *in);
// A direct branch, and where it goes from `pc`.
bool code_is_relative(const ZydisDecodedInstruction *in);
uint64_t code_branch_target(const ZydisDecodedInstruction *in, uint64_t pc);
bool code_is_rip_relative(const ZydisDecodedInstruction *in);
// Nothing runs on behind it. (A call that never returns is not known here: code behind it is taken for reachable.)
bool code_ends_flow(const ZydisDecodedInstruction *in);
// Places that other parts of refork know by their address, and what cannot run elsewhere.
bool code_is_bound_to_its_place(const ZydisDecodedInstruction *in);
// emit_displaced can make it run elsewhere.
bool code_is_displaceable(const ZydisDecodedInstruction *in);

// ---- the emitter

struct emitter {
    uint8_t *code;
    size_t size, len;
    uint64_t address; // of code[0] when it runs
    bool bad;         // too long, or out of reach: nothing of it may be used
};

#define EMIT(e, ...) emit(e, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

void emit(struct emitter *e, const void *bytes, size_t len);
void emit_u32(struct emitter *e, uint32_t value);
void emit_u64(struct emitter *e, uint64_t value);
void emit_rel32(struct emitter *e, uint64_t target); // from behind its four bytes
void emit_jmp(struct emitter *e, uint64_t target);
// The instruction `in`, of which `bytes` are the program's at `pc`, such that it does here what it does there: rip-relative
// operands and branches are made anew; a call pushes the return address that it pushes there.
void emit_displaced(struct emitter *e, const ZydisDecodedInstruction *in, const uint8_t *bytes, uint64_t pc);

#endif

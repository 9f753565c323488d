#include "core/stub_code.h"

#include <string.h>

bool code_decode(const uint8_t *bytes, size_t len, ZydisDecodedInstruction *in) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, len, in));
}

bool code_is_relative(const ZydisDecodedInstruction *in) {
    return in->raw.imm[0].is_relative;
}

uint64_t code_branch_target(const ZydisDecodedInstruction *in, uint64_t pc) {
    return pc + in->length + (uint64_t)in->raw.imm[0].value.s;
}

bool code_is_rip_relative(const ZydisDecodedInstruction *in) {
    return (in->attributes & ZYDIS_ATTRIB_HAS_MODRM) && in->raw.modrm.mod == 0 && in->raw.modrm.rm == 5;
}

bool code_ends_flow(const ZydisDecodedInstruction *in) {
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_INT3:
        return true;
    default:
        return in->meta.category == ZYDIS_CATEGORY_SYSRET;
    }
}

// ---- which instructions may be displaced

bool code_is_bound_to_its_place(const ZydisDecodedInstruction *in) {
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_XBEGIN:
    case ZYDIS_MNEMONIC_XABORT:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
        return true;
    default:
        break;
    }
    switch (in->meta.category) {
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_UINTR:
    case ZYDIS_CATEGORY_SGX:
        return true;
    default:
        return in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    }
}

bool code_is_displaceable(const ZydisDecodedInstruction *in) {
    if (code_is_bound_to_its_place(in)) return false;
    if (code_is_rip_relative(in) && in->address_width != 64) return false;
    bool branch = in->mnemonic == ZYDIS_MNEMONIC_JMP || in->mnemonic == ZYDIS_MNEMONIC_CALL;
    if (branch && !code_is_relative(in) && (in->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)) return false;
    if (in->mnemonic != ZYDIS_MNEMONIC_CALL || code_is_relative(in)) return true;
    // the stub pushes the return address first, so rsp may not be part of where the call goes
    bool rsp_base = in->raw.modrm.rm == 4 && !in->raw.rex.B;
    if (in->raw.modrm.mod != 3) rsp_base = rsp_base && in->raw.sib.base == 4;
    return !rsp_base;
}

// ---- the emitter

void emit(struct emitter *e, const void *bytes, size_t len) {
    if (e->bad || len > e->size - e->len) {
        e->bad = true;
        return;
    }
    memcpy(e->code + e->len, bytes, len);
    e->len += len;
}

void emit_u32(struct emitter *e, uint32_t value) {
    emit(e, &value, sizeof value);
}

void emit_u64(struct emitter *e, uint64_t value) {
    emit(e, &value, sizeof value);
}

static bool reaches(uint64_t from, uint64_t to, int32_t *rel) {
    *rel = (int32_t)(to - from);
    return (uint64_t)(int64_t)*rel == to - from;
}

void emit_rel32(struct emitter *e, uint64_t target) {
    int32_t rel;
    if (!reaches(e->address + e->len + 4, target, &rel)) e->bad = true;
    emit_u32(e, (uint32_t)rel);
}

void emit_jmp(struct emitter *e, uint64_t target) {
    EMIT(e, 0xe9);
    emit_rel32(e, target);
}

static void emit_push_return(struct emitter *e, uint64_t address) {
    EMIT(e, 0x68); // push $low half, sign-extended
    emit_u32(e, (uint32_t)address);
    EMIT(e, 0xc7, 0x44, 0x24, 0x04); // movl $high half,4(%rsp)
    emit_u32(e, (uint32_t)(address >> 32));
}

static void emit_branch(struct emitter *e, const ZydisDecodedInstruction *in, const uint8_t *bytes,
                        uint64_t pc) {
    uint64_t target = code_branch_target(in, pc);
    if (in->mnemonic == ZYDIS_MNEMONIC_CALL) {
        emit_push_return(e, pc + in->length);
        emit_jmp(e, target);
    } else if (in->mnemonic == ZYDIS_MNEMONIC_JMP) {
        emit_jmp(e, target);
    } else if ((in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (in->opcode & 0xf0) == 0x70) ||
               (in->opcode_map == ZYDIS_OPCODE_MAP_0F && (in->opcode & 0xf0) == 0x80)) {
        EMIT(e, 0x0f, 0x80 | (in->opcode & 0x0f));
        emit_rel32(e, target);
    } else if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in->opcode >= 0xe0 && in->opcode <= 0xe3) {
        emit(e, bytes, in->length - 1u); // loop, loope, loopne, jrcxz: only rel8
        EMIT(e, 0x02, 0xeb, 0x05);       // taken: over the jmp that skips ...
        emit_jmp(e, target);             // ... this one
    } else {
        e->bad = true;
    }
}

static void emit_copy(struct emitter *e, const ZydisDecodedInstruction *in, const uint8_t *bytes,
                      uint64_t pc) {
    uint8_t copy[ZYDIS_MAX_INSTRUCTION_LENGTH];
    memcpy(copy, bytes, in->length);
    if (in->mnemonic == ZYDIS_MNEMONIC_CALL) {
        emit_push_return(e, pc + in->length);
        copy[in->raw.modrm.offset] =
            (uint8_t)((copy[in->raw.modrm.offset] & ~0x38) | 4 << 3); // FF /2 call -> FF /4 jmp
    }
    if (code_is_rip_relative(in)) {
        int32_t disp;
        if (!reaches(e->address + e->len + in->length, pc + in->length + (uint64_t)in->raw.disp.value, &disp))
            e->bad = true;
        memcpy(copy + in->raw.disp.offset, &disp, sizeof disp);
    }
    emit(e, copy, in->length);
}

void emit_displaced(struct emitter *e, const ZydisDecodedInstruction *in, const uint8_t *bytes, uint64_t pc) {
    if (code_is_relative(in))
        emit_branch(e, in, bytes, pc);
    else
        emit_copy(e, in, bytes, pc);
}

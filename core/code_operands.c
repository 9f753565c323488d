// The memory operands of one instruction.
#include "core/code.h"

#include <Zydis/Zydis.h>

// Index in state_want.gpr (rax rbx rcx rdx rsi rdi rbp rsp r8..) by hardware number (rax rcx rdx rbx rsp rbp
// rsi rdi r8..).
static const uint8_t gpr_index[16] = {0, 2, 3, 1, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

// A general register of any width, zero-extended.
static uint64_t register_value(ZydisRegister reg, const uint64_t gpr[16]) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15) return 0;
    uint64_t value = gpr[gpr_index[whole - ZYDIS_REGISTER_RAX]];
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) return value >> 8 & 0xff;
    unsigned width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
    return width >= 64 ? value : value & ((1ull << width) - 1);
}

// What an address register alone says is not all: bt and its kin index from the operand by a register's bit
// number.
static uint64_t bit_offset(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *operands,
                           const uint64_t gpr[16]) {
    if (in->mnemonic != ZYDIS_MNEMONIC_BT && in->mnemonic != ZYDIS_MNEMONIC_BTS &&
        in->mnemonic != ZYDIS_MNEMONIC_BTR && in->mnemonic != ZYDIS_MNEMONIC_BTC)
        return 0;
    if (operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER) return 0;
    uint64_t bit = register_value(operands[1].reg.value, gpr);
    int64_t number = operands[1].size == 64   ? (int64_t)bit
                     : operands[1].size == 32 ? (int32_t)bit
                                              : (int16_t)bit;
    int64_t bytes = operands[1].size / 8, bits = operands[1].size;
    int64_t units = number / bits - (number % bits < 0);
    return (uint64_t)(units * bytes);
}

static uint64_t effective_address(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *operands,
                                  int index, uint64_t pc, const uint64_t gpr[16], uint64_t fs_base,
                                  uint64_t gs_base) {
    const ZydisDecodedOperand *o = &operands[index];
    uint64_t address = o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0;
    if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
        address += pc + in->length;
    else
        address += register_value(o->mem.base, gpr);
    address += register_value(o->mem.index, gpr) * (o->mem.scale ? o->mem.scale : 1u);
    bool hidden = o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    bool writes = (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    if (hidden && o->mem.base == ZYDIS_REGISTER_RSP && writes) address -= o->size / 8; // push, call
    if (!hidden && in->mnemonic == ZYDIS_MNEMONIC_POP && o->mem.base == ZYDIS_REGISTER_RSP)
        address += o->size / 8;
    if (index == 0) address += bit_offset(in, operands, gpr);
    if (in->address_width == 32 && !(hidden && o->mem.base == ZYDIS_REGISTER_RSP)) address &= 0xffffffff;
    if (o->mem.segment == ZYDIS_REGISTER_FS) address += fs_base;
    if (o->mem.segment == ZYDIS_REGISTER_GS) address += gs_base;
    return address;
}

// Not in the operands: how much, or where.
static bool has_open_extent(const ZydisDecodedInstruction *in) {
    if (in->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) return true;
    switch (in->meta.category) {
    case ZYDIS_CATEGORY_XSAVE:
    case ZYDIS_CATEGORY_XSAVEOPT:
    case ZYDIS_CATEGORY_AMX_TILE:
    case ZYDIS_CATEGORY_ENQCMD:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_INTERRUPT:
        return true;
    default:
        return in->mnemonic == ZYDIS_MNEMONIC_ENTER || in->mnemonic == ZYDIS_MNEMONIC_CLZERO;
    }
}

static bool only_hints(const ZydisDecodedInstruction *in) {
    switch (in->meta.category) {
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_PREFETCH:
    case ZYDIS_CATEGORY_PREFETCHWT1:
    case ZYDIS_CATEGORY_CLDEMOTE:
        return true;
    default:
        return false;
    }
}

int code_memory_operands(const uint8_t *code, size_t len, uint64_t pc, const uint64_t gpr[16],
                         uint64_t fs_base, uint64_t gs_base, struct memory_operand out[4]) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    int count = 0;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) return -1;
    if (has_open_extent(&in)) return -1;
    if (only_hints(&in)) return 0;
    for (int i = 0; i < in.operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type == ZYDIS_MEMOP_TYPE_AGEN) continue;
        if (o->mem.type != ZYDIS_MEMOP_TYPE_MEM || o->size == 0 || o->size / 8 > UINT8_MAX || count == 4)
            return -1;
        out[count++] = (struct memory_operand){
            .address = effective_address(&in, operands, i, pc, gpr, fs_base, gs_base),
            .size = (uint8_t)(o->size / 8),
            .written = (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0,
        };
    }
    return count;
}

bool code_memory_address(const uint8_t *code, size_t len, uint64_t pc, const uint64_t gpr[16],
                         uint64_t fs_base, uint64_t gs_base, uint64_t *address) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) return false;
    for (int i = 0; i < in.operand_count; i++) {
        if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY || operands[i].mem.type != ZYDIS_MEMOP_TYPE_MEM)
            continue;
        *address = effective_address(&in, operands, i, pc, gpr, fs_base, gs_base);
        return true;
    }
    return false;
}

int code_length(const uint8_t *code, size_t len, uint64_t pc, uint64_t *target) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    *target = 0;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) return 0;
    bool jump = in.meta.category == ZYDIS_CATEGORY_COND_BR || in.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
    if (jump && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operands[0].imm.is_relative)
        *target = pc + in.length + (uint64_t)operands[0].imm.value.s;
    return in.length;
}

// Atomic read-modify-write instructions, carried out on a register set and memory callbacks.
#include "core/atomic_emulate.h"

#include <Zydis/Zydis.h>
#include <string.h>

enum { CF = 0x1, PF = 0x4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800 };

// Which flags the operation writes.
enum { ARITHMETIC = CF | PF | AF | ZF | SF | OF };

static const struct {
    ZydisMnemonic mnemonic;
    uint8_t operation;
    uint16_t flags;
    bool pair;
} known[] = {
    {ZYDIS_MNEMONIC_CMPXCHG, ATOMIC_CMPXCHG, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_CMPXCHG8B, ATOMIC_CMPXCHG, ZF, true},
    {ZYDIS_MNEMONIC_CMPXCHG16B, ATOMIC_CMPXCHG, ZF, true},
    {ZYDIS_MNEMONIC_XCHG, ATOMIC_XCHG, 0, false},
    {ZYDIS_MNEMONIC_XADD, ATOMIC_XADD, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_ADD, ATOMIC_ADD, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_ADC, ATOMIC_ADC, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_SUB, ATOMIC_SUB, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_SBB, ATOMIC_SBB, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_INC, ATOMIC_INC, ARITHMETIC & ~CF, false},
    {ZYDIS_MNEMONIC_DEC, ATOMIC_DEC, ARITHMETIC & ~CF, false},
    {ZYDIS_MNEMONIC_NEG, ATOMIC_NEG, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_NOT, ATOMIC_NOT, 0, false},
    {ZYDIS_MNEMONIC_AND, ATOMIC_AND, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_OR, ATOMIC_OR, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_XOR, ATOMIC_XOR, ARITHMETIC, false},
    {ZYDIS_MNEMONIC_BTS, ATOMIC_BTS, CF, false},
    {ZYDIS_MNEMONIC_BTR, ATOMIC_BTR, CF, false},
    {ZYDIS_MNEMONIC_BTC, ATOMIC_BTC, CF, false},
};

struct decoded {
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct atomic_instruction what;
    unsigned flags;
};

static bool decode(const uint8_t *code, size_t len, struct decoded *d) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &d->in, d->operands))) return false;
    // the memory destination is the first operand of all of them (xchg and xadd too: 86, 87, 0F C0, 0F C1)
    if (d->in.operand_count == 0 || d->operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY) return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].mnemonic != d->in.mnemonic) continue;
        bool locked = (d->in.attributes & ZYDIS_ATTRIB_HAS_LOCK) || d->in.mnemonic == ZYDIS_MNEMONIC_XCHG;
        d->what = (struct atomic_instruction){.operation = known[i].operation,
                                              .length = d->in.length,
                                              .size = (uint8_t)(d->operands[0].size / 8),
                                              .pair = known[i].pair,
                                              .locked = locked};
        d->flags = known[i].flags;
        return true;
    }
    return false;
}

bool atomic_decode(const uint8_t *code, size_t len, struct atomic_instruction *out) {
    struct decoded d;
    if (!decode(code, len, &d)) return false;
    *out = d.what;
    return true;
}

// ---- registers

static const uint16_t register_offset[16] = {
    offsetof(struct user_regs_struct, rax), offsetof(struct user_regs_struct, rcx),
    offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, rbx),
    offsetof(struct user_regs_struct, rsp), offsetof(struct user_regs_struct, rbp),
    offsetof(struct user_regs_struct, rsi), offsetof(struct user_regs_struct, rdi),
    offsetof(struct user_regs_struct, r8),  offsetof(struct user_regs_struct, r9),
    offsetof(struct user_regs_struct, r10), offsetof(struct user_regs_struct, r11),
    offsetof(struct user_regs_struct, r12), offsetof(struct user_regs_struct, r13),
    offsetof(struct user_regs_struct, r14), offsetof(struct user_regs_struct, r15),
};

static uint64_t mask_of(unsigned bits) {
    return bits >= 64 ? ~0ull : (1ull << bits) - 1;
}

static bool is_high_byte(ZydisRegister reg) {
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

static unsigned long long *whole_register(struct user_regs_struct *regs, ZydisRegister reg) {
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    return (unsigned long long *)((char *)regs + register_offset[(whole - ZYDIS_REGISTER_RAX) & 15]);
}

static uint64_t get_register(struct user_regs_struct *regs, ZydisRegister reg) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    uint64_t value = *whole_register(regs, reg);
    if (is_high_byte(reg)) return value >> 8 & 0xff;
    return value & mask_of(ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg));
}

// 8 and 16 bits leave the rest of the register, 32 bits clear the upper half.
static void set_register(struct user_regs_struct *regs, ZydisRegister reg, uint64_t value) {
    unsigned long long *whole = whole_register(regs, reg);
    unsigned bits = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (is_high_byte(reg))
        *whole = (*whole & ~0xff00ull) | (value & 0xff) << 8;
    else if (bits >= 32)
        *whole = value & mask_of(bits);
    else
        *whole = (*whole & ~mask_of(bits)) | (value & mask_of(bits));
}

static bool is_bit_operation(int operation) {
    return operation == ATOMIC_BTS || operation == ATOMIC_BTR || operation == ATOMIC_BTC;
}

static uint64_t sign_extend(uint64_t value, unsigned bits) {
    return bits >= 64 ? value : (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

// The second operand, cut to the width of the first; 0 when there is none.
static uint64_t get_operand(struct user_regs_struct *regs, const struct decoded *d) {
    const ZydisDecodedOperand *o = &d->operands[1];
    if (d->what.pair || d->in.operand_count_visible < 2) return 0;
    uint64_t value = o->type == ZYDIS_OPERAND_TYPE_REGISTER ? get_register(regs, o->reg.value)
                                                            : o->imm.value.u; // sign-extended by Zydis
    return value & mask_of(d->what.size * 8u);
}

// A SIB byte with base 5 under mod 0 has a displacement of 32 bits and no base, whatever REX.B. Zydis 4.0
// makes it r13d without displacement under both 67 and REX.B (67 41 80 34 25 ..): only its raw fields are
// right.
static bool has_no_base(const ZydisDecodedInstruction *in) {
    return in->raw.modrm.rm == 4 && in->raw.modrm.mod == 0 && in->raw.sib.base == 5;
}

static uint64_t linear_address(struct user_regs_struct *regs, const struct decoded *d) {
    const ZydisDecodedOperand *o = &d->operands[0];
    uint64_t address = (uint64_t)d->in.raw.disp.value;
    if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
        address += regs->rip + d->in.length;
    else if (!has_no_base(&d->in))
        address += get_register(regs, o->mem.base);
    address += get_register(regs, o->mem.index) * o->mem.scale;
    // a bit number in a register is signed and reaches beyond the word
    if (is_bit_operation(d->what.operation) && d->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned bits = d->what.size * 8u;
        int64_t number = (int64_t)sign_extend(get_operand(regs, d), bits);
        address += (uint64_t)((number >> __builtin_ctz(bits)) * d->what.size);
    }
    if (d->in.address_width == 32) address &= 0xffffffff;
    if (o->mem.segment == ZYDIS_REGISTER_FS) address += regs->fs_base;
    if (o->mem.segment == ZYDIS_REGISTER_GS) address += regs->gs_base;
    return address;
}

// ---- arithmetic

static unsigned flags_of_result(uint64_t r, unsigned bits) {
    unsigned flags = 0;
    if (!__builtin_parity((unsigned)r & 0xff)) flags |= PF;
    if (r == 0) flags |= ZF;
    if (r >> (bits - 1) & 1) flags |= SF;
    return flags;
}

static uint64_t add(uint64_t a, uint64_t b, unsigned carry, unsigned bits, unsigned *flags) {
    uint64_t mask = mask_of(bits), r = (a + b + carry) & mask;
    *flags = flags_of_result(r, bits) | ((a ^ b ^ r) & AF);
    if (r < a || (carry && r == a)) *flags |= CF;
    if ((~(a ^ b) & (a ^ r)) >> (bits - 1) & 1) *flags |= OF;
    return r;
}

static uint64_t subtract(uint64_t a, uint64_t b, unsigned borrow, unsigned bits, unsigned *flags) {
    uint64_t mask = mask_of(bits), r = (a - b - borrow) & mask;
    *flags = flags_of_result(r, bits) | ((a ^ b ^ r) & AF);
    if (a < b || (borrow && a == b)) *flags |= CF;
    if (((a ^ b) & (a ^ r)) >> (bits - 1) & 1) *flags |= OF;
    return r;
}

// The new value of a destination that holds `a`; *flags is in: the carry, out: all that the operation could
// write.
static uint64_t combine(int operation, uint64_t a, uint64_t b, unsigned bits, unsigned *flags) {
    unsigned carry = *flags & CF;
    uint64_t r = 0;
    switch (operation) {
    case ATOMIC_XCHG:
        return b;
    case ATOMIC_NOT:
        return ~a & mask_of(bits);
    case ATOMIC_XADD:
    case ATOMIC_ADD:
        return add(a, b, 0, bits, flags);
    case ATOMIC_ADC:
        return add(a, b, carry, bits, flags);
    case ATOMIC_SUB:
        return subtract(a, b, 0, bits, flags);
    case ATOMIC_SBB:
        return subtract(a, b, carry, bits, flags);
    case ATOMIC_INC:
        return add(a, 1, 0, bits, flags);
    case ATOMIC_DEC:
        return subtract(a, 1, 0, bits, flags);
    case ATOMIC_NEG:
        return subtract(0, a, 0, bits, flags);
    case ATOMIC_AND:
        r = a & b;
        break;
    case ATOMIC_OR:
        r = a | b;
        break;
    case ATOMIC_XOR:
        r = a ^ b;
        break;
    case ATOMIC_BTS:
    case ATOMIC_BTR:
    case ATOMIC_BTC:
        *flags = (a & b) ? CF : 0;
        return operation == ATOMIC_BTS ? a | b : operation == ATOMIC_BTR ? a & ~b : a ^ b;
    }
    *flags = flags_of_result(r, bits);
    return r;
}

// ---- compare and exchange

static ZydisRegister accumulator_of(unsigned size) {
    return size == 1   ? ZYDIS_REGISTER_AL
           : size == 2 ? ZYDIS_REGISTER_AX
           : size == 4 ? ZYDIS_REGISTER_EAX
                       : ZYDIS_REGISTER_RAX;
}

static void compare_exchange(struct user_regs_struct *regs, const struct decoded *d, struct atomic_result *r,
                             unsigned *flags) {
    struct atomic_value expected;
    unsigned size = d->what.size;
    if (!d->what.pair) {
        expected = (struct atomic_value){.low = get_register(regs, accumulator_of(size))};
        r->operand = (struct atomic_value){.low = get_operand(regs, d)};
        subtract(expected.low, r->before.low, 0, size * 8, flags);
    } else if (size == 8) {
        expected = (struct atomic_value){.low = (regs->rdx << 32) | (regs->rax & 0xffffffff)};
        r->operand = (struct atomic_value){.low = (regs->rcx << 32) | (regs->rbx & 0xffffffff)};
    } else {
        expected = (struct atomic_value){.low = regs->rax, .high = regs->rdx};
        r->operand = (struct atomic_value){.low = regs->rbx, .high = regs->rcx};
    }
    r->failed = r->before.low != expected.low || r->before.high != expected.high;
    r->after = r->failed ? r->before : r->operand;
    if (d->what.pair) *flags = r->failed ? 0 : ZF;
}

// Register results, after memory was written.
static void write_registers(struct user_regs_struct *regs, const struct decoded *d,
                            const struct atomic_result *r) {
    unsigned size = d->what.size;
    if (d->what.operation == ATOMIC_XCHG || d->what.operation == ATOMIC_XADD)
        set_register(regs, d->operands[1].reg.value, r->before.low);
    if (d->what.operation != ATOMIC_CMPXCHG || !r->failed) return;
    if (!d->what.pair) {
        set_register(regs, accumulator_of(size), r->before.low);
    } else if (size == 8) {
        regs->rax = r->before.low & 0xffffffff;
        regs->rdx = r->before.low >> 32;
    } else {
        regs->rax = r->before.low;
        regs->rdx = r->before.high;
    }
}

int atomic_emulate(const uint8_t *code, size_t len, struct user_regs_struct *regs,
                   const struct atomic_memory *memory, struct atomic_result *out) {
    struct decoded d;
    if (!decode(code, len, &d)) return -2;
    struct atomic_result r = {.instruction = d.what, .address = linear_address(regs, &d)};
    unsigned size = d.what.size, flags = (unsigned)regs->eflags;
    if (size == 16 && (r.address & 15)) return -1;
    if (!memory->read(memory->context, r.address, &r.before, size)) return -1;
    if (d.what.operation == ATOMIC_CMPXCHG) {
        compare_exchange(regs, &d, &r, &flags);
    } else {
        r.operand.low = get_operand(regs, &d);
        if (is_bit_operation(d.what.operation)) r.operand.low = 1ull << (r.operand.low & (size * 8 - 1));
        r.after.low = combine(d.what.operation, r.before.low, r.operand.low, size * 8, &flags);
    }
    if (!memory->write(memory->context, r.address, &r.after, size)) return -1;
    write_registers(regs, &d, &r);
    regs->eflags = (regs->eflags & ~(unsigned long long)d.flags) | (flags & d.flags);
    regs->rip += d.in.length;
    *out = r;
    return 0;
}

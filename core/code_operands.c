// The memory operands of one instruction, and the number that a branch behind it goes by.
#include "core/code_operands.h"

#include "core/abi.h"

#include <Zydis/Zydis.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

struct decoded {
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const struct user_regs_struct *regs;
    uint64_t gpr[ABI_REGISTERS];
};

// `regs`: before it, at it; NULL when no operand will be asked for.
static bool decode(const uint8_t *code, size_t len, const struct user_regs_struct *regs, struct decoded *d) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    d->regs = regs;
    if (regs) abi_registers(regs, d->gpr);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &d->in, d->operands));
}

// A general register of any width, zero-extended.
static uint64_t register_value(const struct decoded *d, ZydisRegister reg) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15) return 0;
    uint64_t value = d->gpr[whole - ZYDIS_REGISTER_RAX];
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) return value >> 8 & 0xff;
    unsigned width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
    return width >= 64 ? value : value & ((1ull << width) - 1);
}

// What an address register alone says is not all: bt and its kin index from the operand by a register's bit
// number.
static uint64_t bit_offset(const struct decoded *d) {
    ZydisMnemonic m = d->in.mnemonic;
    const ZydisDecodedOperand *o = &d->operands[1];
    if (m != ZYDIS_MNEMONIC_BT && m != ZYDIS_MNEMONIC_BTS && m != ZYDIS_MNEMONIC_BTR &&
        m != ZYDIS_MNEMONIC_BTC)
        return 0;
    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER) return 0;
    uint64_t bit = register_value(d, o->reg.value);
    int64_t number = o->size == 64 ? (int64_t)bit : o->size == 32 ? (int32_t)bit : (int16_t)bit;
    int64_t bytes = o->size / 8, bits = o->size;
    int64_t units = number / bits - (number % bits < 0);
    return (uint64_t)(units * bytes);
}

static uint64_t effective_address(const struct decoded *d, int index) {
    const ZydisDecodedOperand *o = &d->operands[index];
    uint64_t address = o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0;
    if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
        address += d->regs->rip + d->in.length;
    else
        address += register_value(d, o->mem.base);
    address += register_value(d, o->mem.index) * (o->mem.scale ? o->mem.scale : 1u);
    bool hidden = o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    bool writes = (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    if (hidden && o->mem.base == ZYDIS_REGISTER_RSP && writes) address -= o->size / 8; // push, call
    if (!hidden && d->in.mnemonic == ZYDIS_MNEMONIC_POP && o->mem.base == ZYDIS_REGISTER_RSP)
        address += o->size / 8;
    if (index == 0) address += bit_offset(d);
    if (d->in.address_width == 32 && !(hidden && o->mem.base == ZYDIS_REGISTER_RSP)) address &= 0xffffffff;
    if (o->mem.segment == ZYDIS_REGISTER_FS) address += d->regs->fs_base;
    if (o->mem.segment == ZYDIS_REGISTER_GS) address += d->regs->gs_base;
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

static int memory_operands(const struct decoded *d, struct memory_operand out[4], uint8_t *hidden) {
    int count = 0;
    *hidden = 0;
    if (has_open_extent(&d->in)) return -1;
    if (only_hints(&d->in)) return 0;
    for (int i = 0; i < d->in.operand_count; i++) {
        const ZydisDecodedOperand *o = &d->operands[i];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type == ZYDIS_MEMOP_TYPE_AGEN) continue;
        if (o->mem.type != ZYDIS_MEMOP_TYPE_MEM || o->size == 0 || o->size / 8 > UINT8_MAX || count == 4)
            return -1;
        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && o->mem.base == ZYDIS_REGISTER_RSP)
            *hidden |= (uint8_t)(1u << count);
        out[count++] = (struct memory_operand){
            .address = effective_address(d, i),
            .size = (uint8_t)(o->size / 8),
            .written = (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0,
        };
    }
    return count;
}

int code_memory_operands(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
                         struct memory_operand out[4]) {
    struct decoded d;
    uint8_t hidden;
    if (!decode(code, len, regs, &d)) return -1;
    return memory_operands(&d, out, &hidden);
}

// ---- what a branch goes by

struct values {
    struct decoded d;
    const struct user_fpregs_struct *fp;
    const struct code_memory *memory;
    bool needs_fp;
};

// Up to 16 bytes of an operand; false: not to be had.
static bool operand_bytes(struct values *v, int index, uint8_t bytes[16]) {
    const ZydisDecodedOperand *o = &v->d.operands[index];
    memset(bytes, 0, 16);
    size_t size = o->size / 8 < 16 ? o->size / 8 : 16;
    uint64_t value;
    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        value = o->imm.value.u;
        memcpy(bytes, &value, sizeof value);
        return true;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        if (o->mem.type != ZYDIS_MEMOP_TYPE_MEM) return false;
        return v->memory->read(v->memory->context, effective_address(&v->d, index), bytes, size);
    case ZYDIS_OPERAND_TYPE_REGISTER:
        break;
    default:
        return false;
    }
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value);
    if (whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15) {
        value = register_value(&v->d, o->reg.value);
        memcpy(bytes, &value, sizeof value);
        return true;
    }
    int number = ZydisRegisterGetId(o->reg.value);
    ZydisRegisterClass class = ZydisRegisterGetClass(o->reg.value);
    bool vector = class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM;
    v->needs_fp |= vector || class == ZYDIS_REGCLASS_X87;
    if (!v->fp || !vector || number > 15) return false;
    memcpy(bytes, (const uint8_t *)v->fp->xmm_space + 16 * number, 16);
    return true;
}

static bool operand_number(struct values *v, int index, int64_t *out) {
    uint8_t bytes[16];
    unsigned bits = v->d.operands[index].size;
    if (bits > 64 || !bits || !operand_bytes(v, index, bytes)) return false;
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    *out = (int64_t)(value << (64 - bits)) >> (64 - bits);
    return true;
}

static int64_t at_width(uint64_t value, unsigned bits) {
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static bool integer_distance(struct values *v, double *distance) {
    ZydisMnemonic m = v->d.in.mnemonic;
    bool one = m == ZYDIS_MNEMONIC_INC || m == ZYDIS_MNEMONIC_DEC;
    int64_t a, b = 1;
    // cmpxchg compares rax, its third operand, with the first.
    int second = m == ZYDIS_MNEMONIC_CMPXCHG ? 2 : 1;
    if (!operand_number(v, 0, &a) || (!one && !operand_number(v, second, &b))) return false;
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (m) {
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_DEC:
        x -= y;
        break;
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_XADD:
        x += y;
        break;
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_AND:
        x &= y;
        break;
    default:
        return false;
    }
    *distance = (double)at_width(x, v->d.operands[0].size);
    return true;
}

// As programs and glibc hold the parts of a second against 1000000000, or against 999999999.
static bool compares_with_second(struct values *v) {
    enum { SECOND = 1000000000 };
    int64_t side;
    for (int i = 0; i < 2 && v->d.in.mnemonic == ZYDIS_MNEMONIC_CMP; i++)
        if (operand_number(v, i, &side) && (side == SECOND || side == SECOND - 1)) return true;
    return false;
}

static bool float_distance(struct values *v, double *distance) {
    uint8_t a[16], b[16];
    float fa, fb;
    double da, db;
    switch (v->d.in.mnemonic) {
    case ZYDIS_MNEMONIC_COMISS:
    case ZYDIS_MNEMONIC_UCOMISS:
    case ZYDIS_MNEMONIC_VCOMISS:
    case ZYDIS_MNEMONIC_VUCOMISS:
        if (!operand_bytes(v, 0, a) || !operand_bytes(v, 1, b)) return false;
        memcpy(&fa, a, sizeof fa);
        memcpy(&fb, b, sizeof fb);
        *distance = (double)fa - (double)fb;
        break;
    case ZYDIS_MNEMONIC_COMISD:
    case ZYDIS_MNEMONIC_UCOMISD:
    case ZYDIS_MNEMONIC_VCOMISD:
    case ZYDIS_MNEMONIC_VUCOMISD:
        if (!operand_bytes(v, 0, a) || !operand_bytes(v, 1, b)) return false;
        memcpy(&da, a, sizeof da);
        memcpy(&db, b, sizeof db);
        *distance = da - db;
        break;
    default:
        return false;
    }
    return isfinite(*distance);
}

// x87 and mask registers are not looked into one by one: all of them then.
static double any_number(struct values *v) {
    uint64_t hash = 0;
    for (int i = 0; i < v->d.in.operand_count; i++) {
        uint8_t bytes[16];
        if (!(v->d.operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ)) continue;
        if (operand_bytes(v, i, bytes))
            hash = XXH3_64bits_withSeed(bytes, sizeof bytes, hash);
        else if (v->fp && v->d.operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
            hash = XXH3_64bits_withSeed(v->fp, sizeof *v->fp, hash);
    }
    return (double)(hash >> 12);
}

bool code_step(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
               const struct user_fpregs_struct *fp, const struct code_memory *memory, struct code_step *out) {
    struct values v = {.fp = fp, .memory = memory};
    const ZydisDecodedInstruction *in = &v.d.in;
    memset(out, 0, sizeof *out);
    if (!decode(code, len, regs, &v.d)) return false;
    out->syscall = in->mnemonic == ZYDIS_MNEMONIC_SYSCALL;
    out->pause = in->mnemonic == ZYDIS_MNEMONIC_PAUSE;
    out->operand_count = out->syscall ? 0 : memory_operands(&v.d, out->operands, &out->hidden);
    if (in->meta.category == ZYDIS_CATEGORY_CALL || in->meta.category == ZYDIS_CATEGORY_UNCOND_BR)
        out->hidden = 0xff;
    out->atomic = (in->attributes & ZYDIS_ATTRIB_HAS_LOCK) ||
                  (in->mnemonic == ZYDIS_MNEMONIC_XCHG && out->operand_count > 0);
    // The overflow of a number alone is too far away to be what a loop ends by.
    out->reads_flags = in->cpu_flags && (in->cpu_flags->tested & ~ZYDIS_CPUFLAG_OF);
    out->sets_flags = !out->syscall && in->cpu_flags &&
                      (in->cpu_flags->modified & (ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_SF));
    if (!out->sets_flags) return true;
    out->ordered = integer_distance(&v, &out->distance) || float_distance(&v, &out->distance);
    if (!out->ordered) out->distance = any_number(&v);
    out->of_second = compares_with_second(&v);
    out->needs_fp = v.needs_fp && !fp;
    return true;
}

bool code_memory_address(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
                         uint64_t *address) {
    struct decoded d;
    if (!decode(code, len, regs, &d)) return false;
    for (int i = 0; i < d.in.operand_count; i++) {
        if (d.operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY || d.operands[i].mem.type != ZYDIS_MEMOP_TYPE_MEM)
            continue;
        *address = effective_address(&d, i);
        return true;
    }
    return false;
}

// No ModRM and no immediate: prefixes and one byte (SDM vol. 2, 2.1.1).
int code_repeats(const uint8_t *code, size_t len) {
    bool repeats = false;
    size_t i = 0;
    for (; i < len; i++) {
        bool rex = (code[i] & 0xf0) == 0x40;
        if (!rex && !memchr("\xf2\xf3\x66\x67\x26\x2e\x36\x3e\x64\x65", code[i], 10)) break;
        repeats |= code[i] == 0xf2 || code[i] == 0xf3;
    }
    bool string = i < len && memchr("\xa4\xa5\xa6\xa7\xaa\xab\xac\xad\xae\xaf", code[i], 10);
    return repeats && string ? (int)i + 1 : 0;
}

int code_length(const uint8_t *code, size_t len, uint64_t pc, uint64_t *target) {
    struct decoded d;
    *target = 0;
    if (!decode(code, len, NULL, &d)) return 0;
    const ZydisDecodedOperand *to = &d.operands[0];
    bool jump =
        d.in.meta.category == ZYDIS_CATEGORY_COND_BR || d.in.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
    if (jump && to->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && to->imm.is_relative)
        *target = pc + d.in.length + (uint64_t)to->imm.value.s;
    return d.in.length;
}

int code_next(const uint8_t *code, size_t len, const struct user_regs_struct *regs,
              const struct code_memory *memory, uint64_t next[2]) {
    struct decoded d;
    if (!decode(code, len, regs, &d)) return 0;
    ZydisInstructionCategory category = d.in.meta.category;
    uint64_t behind = regs->rip + d.in.length;
    next[0] = behind;
    if (category == ZYDIS_CATEGORY_RET) return memory->read(memory->context, regs->rsp, &next[0], 8) ? 1 : 0;
    bool conditional = category == ZYDIS_CATEGORY_COND_BR;
    if (category != ZYDIS_CATEGORY_CALL && category != ZYDIS_CATEGORY_UNCOND_BR && !conditional) return 1;
    const ZydisDecodedOperand *to = &d.operands[0];
    if (to->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        next[0] = behind + (uint64_t)to->imm.value.s;
        next[1] = behind;
        return conditional ? 2 : 1;
    }
    if (to->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        next[0] = register_value(&d, to->reg.value);
        return 1;
    }
    if (to->type != ZYDIS_OPERAND_TYPE_MEMORY) return 0;
    return memory->read(memory->context, effective_address(&d, 0), &next[0], 8) ? 1 : 0;
}

bool code_operand_register(const uint8_t *code, size_t len, int32_t *displacement) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, len, &in))) return false;
    bool segment = in.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS);
    if (!(in.attributes & ZYDIS_ATTRIB_HAS_MODRM) || segment || in.address_width != 64) return false;
    *displacement = (int32_t)in.raw.disp.value;
    if (in.raw.modrm.mod == 3 || (in.raw.modrm.mod == 0 && in.raw.modrm.rm == 5)) return false;
    if (in.raw.modrm.rm != 4) return true;
    // SIB: no index, and a base that is neither rsp nor missing
    bool index = in.raw.sib.index != 4 || in.raw.rex.X, rsp = in.raw.sib.base == 4 && !in.raw.rex.B;
    return !index && !rsp && !(in.raw.sib.base == 5 && in.raw.modrm.mod == 0);
}

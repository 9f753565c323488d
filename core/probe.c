#include "core/probe.h"

#include "core/stub_code.h"

#include <string.h>

const uint8_t probe_guards[4] = {0xcc, 0x9a, 0x61, 0x2f};

enum { GUARD = 0xcc, LOCK_PREFIX = 0xf0, ENTRY = sizeof(struct probe_entry) };

// ---- where the jump fits

// Segment bases are not in reach of a stub; the word of `bts %reg,(mem)` may lie anywhere; a jump at rip is no operand.
static bool operand_is_plain(const struct probe_request *q, const ZydisDecodedInstruction *in) {
    if (!(in->attributes & ZYDIS_ATTRIB_HAS_MODRM) || in->raw.modrm.mod == 3) return false;
    if (in->attributes & (ZYDIS_ATTRIB_HAS_SEGMENT | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
                          ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_XACQUIRE | ZYDIS_ATTRIB_HAS_XRELEASE))
        return false;
    if (in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || in->address_width != 64) return false;
    if (in->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) return false;
    if (q->size != 1 && q->size != 2 && q->size != 4 && q->size != 8) return false;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return in->raw.imm[0].size != 0;
    case ZYDIS_MNEMONIC_PUSH: // moves rsp
    case ZYDIS_MNEMONIC_POP:
        return false;
    default:
        return true;
    }
}

bool probe_plan(const struct probe_request *q, enum probe_form form, uint8_t guard, struct probe_plan *out) {
    *out = (struct probe_plan){.form = (uint8_t)form};
    bool ended = false;
    for (size_t at = 0; at < PROBE_JUMP;) {
        ZydisDecodedInstruction in;
        if (!code_decode(q->code + at, q->len - at, &in)) return false;
        bool first = at == 0;
        // Behind a jump or return only padding: anything else there is reached in a way that is not known.
        if (ended ? in.mnemonic != ZYDIS_MNEMONIC_NOP : !code_is_displaceable(&in)) return false;
        if (in.mnemonic == ZYDIS_MNEMONIC_CALL && (!first || q->kind == PROBE_OPERAND)) return false;
        if (first && q->kind == PROBE_OPERAND && !operand_is_plain(q, &in)) return false;
        out->starts[out->count++] = (uint8_t)at;
        if (!first) {
            out->mask |= 0xffu << 8 * (at - 1);
            out->value |= (uint32_t)(at == PROBE_JUMP - 1 ? guard : GUARD) << 8 * (at - 1);
        }
        ended = ended || code_ends_flow(&in) || in.mnemonic == ZYDIS_MNEMONIC_CALL;
        at += in.length;
        out->displaced = (uint8_t)at;
        if (form == PROBE_LONG) return at >= PROBE_JUMP;
        if (form == PROBE_PUNNED) {
            if (at >= PROBE_JUMP || q->len < PROBE_JUMP) return false;
            out->mask = out->value = 0;
            for (size_t i = at; i < PROBE_JUMP; i++) {
                out->mask |= 0xffu << 8 * (i - 1);
                out->value |= (uint32_t)q->code[i] << 8 * (i - 1);
            }
            return true;
        }
    }
    return out->count > 1;
}

// The lowest number at or above x with those bits. false: none.
static bool next_match(uint32_t x, uint32_t mask, uint32_t value, uint32_t *out) {
    uint32_t n = (x & ~mask) | value;
    if (n < x) {
        // From the highest given bit in which x is above, the free ones below it begin at 0, and those above it go up by one.
        uint32_t high = 1u << (31 - __builtin_clz((x ^ value) & mask)), low = high | (high - 1);
        uint64_t up = (uint64_t)(x | mask | low) + 1;
        if (up > UINT32_MAX) return false;
        n = ((uint32_t)up & ~mask & ~low) | value;
    } else if (n > x) {
        // Free bits below the highest given one that rose may be 0.
        uint32_t risen = (x ^ value) & mask & value;
        uint32_t high = risen ? 1u << (31 - __builtin_clz(risen)) : 1;
        n = (n & ~((high - 1) & ~mask)) | value;
    }
    *out = n;
    return true;
}

uint64_t probe_place(const struct probe_plan *plan, uint64_t address, uint64_t from) {
    uint64_t base = address + PROBE_JUMP, lowest = base > 1ull << 31 ? base - (1ull << 31) : 0;
    if (from < lowest) from = lowest;
    int64_t distance = (int64_t)(from - base);
    if (distance > INT32_MAX) return 0;
    // Distances in their order: with the sign's bit turned they are unsigned numbers.
    const uint32_t sign = 1u << 31;
    uint32_t n;
    if (!next_match((uint32_t)distance ^ sign, plan->mask, plan->value ^ (plan->mask & sign), &n)) return 0;
    return base + (uint64_t)(int64_t)(int32_t)(n ^ sign);
}

// ---- the stub

// mov %rax,c(%rip) and its kind: 48, opcode, modrm 05 | reg << 3
static void emit_control(struct emitter *e, uint8_t opcode, int reg, uint64_t at) {
    EMIT(e, 0x48, opcode, (uint8_t)(0x05 | reg << 3));
    emit_rel32(e, at);
}

enum { RAX = 0, RCX = 1, STORE = 0x89, LOAD = 0x8b };

static void emit_save(struct emitter *e, uint64_t control) {
    emit_control(e, STORE, RAX, control + offsetof(struct probe_control, rax));
    emit_control(e, STORE, RCX, control + offsetof(struct probe_control, rcx));
}

static void emit_restore(struct emitter *e, uint64_t control) {
    emit_control(e, LOAD, RAX, control + offsetof(struct probe_control, rax));
    emit_control(e, LOAD, RCX, control + offsetof(struct probe_control, rcx));
}

// mov %rax,offset(%rcx) or back
static void emit_entry(struct emitter *e, uint8_t opcode, size_t offset) {
    EMIT(e, 0x48, opcode, 0x81);
    emit_u32(e, (uint32_t)offset);
}

// The operand's address into rax: `lea` with the same ModRM, SIB and displacement.
static void emit_lea(struct emitter *e, const ZydisDecodedInstruction *in, const uint8_t *bytes,
                     uint64_t pc) {
    uint8_t lea[16] = {(uint8_t)(0x48 | in->raw.rex.X << 1 | in->raw.rex.B), 0x8d};
    size_t tail = (in->raw.modrm.mod != 3 && in->raw.modrm.rm == 4 ? 2u : 1u) + in->raw.disp.size / 8u;
    memcpy(lea + 2, bytes + in->raw.modrm.offset, tail);
    lea[2] &= (uint8_t)~0x38;
    ZydisDecodedInstruction made;
    if (!code_decode(lea, 2 + tail, &made)) {
        e->bad = true;
        return;
    }
    // Its rip is another one: the distance is from behind the instruction.
    emit_displaced(e, &made, lea, pc + in->length - made.length);
}

// The word at (%rax) into rax.
static void emit_read(struct emitter *e, int size) {
    switch (size) {
    case 1:
        EMIT(e, 0x0f, 0xb6, 0x00);
        break;
    case 2:
        EMIT(e, 0x0f, 0xb7, 0x00);
        break;
    case 4:
        EMIT(e, 0x8b, 0x00);
        break;
    default:
        EMIT(e, 0x48, 0x8b, 0x00);
    }
}

// Their numbers in instructions, in the order of the ring.
static const uint8_t hardware[PROBE_REGISTERS] = {0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15};

// All registers behind the entry, the last one first: where that does not fault nothing does.
static void emit_registers(struct emitter *e, uint64_t control) {
    for (int i = PROBE_REGISTERS - 1; i >= 0; i--) {
        int reg = hardware[i];
        size_t offset = ENTRY + 8 * (size_t)i;
        if (reg == RAX || reg == RCX) {
            emit_control(e, LOAD, RAX,
                         control + (reg == RAX ? offsetof(struct probe_control, rax)
                                               : offsetof(struct probe_control, rcx)));
            reg = RAX;
        }
        EMIT(e, (uint8_t)(0x48 | reg >> 3 << 2), STORE,
             (uint8_t)(0x81 | (reg & 7) << 3)); // mov %reg,offset(%rcx)
        emit_u32(e, (uint32_t)offset);
    }
}

static void emit_advance(struct emitter *e, const struct probe_request *q, uint64_t control) {
    EMIT(e, 0x48, 0x8d, 0x89); // lea size(%rcx),%rcx
    emit_u32(e, q->registers ? PROBE_ENTRY_MAX : ENTRY);
    emit_control(e, STORE, RCX, control + offsetof(struct probe_control, head));
}

static void emit_id(struct emitter *e, const struct probe_request *q) {
    EMIT(e, 0x48, 0xc7, 0x01); // movq $id,(%rcx): clears `unequal` as well
    emit_u32(e, q->id);
}

// What is known before the instruction.
static void emit_before(struct emitter *e, const struct probe_request *q, const ZydisDecodedInstruction *in,
                        uint64_t control, struct probe *p) {
    bool call = q->kind == PROBE_CALL;
    emit_save(e, control);
    if (!call) emit_lea(e, in, q->code, q->address);
    emit_control(e, LOAD, RCX, control + offsetof(struct probe_control, head));
    p->full = (uint16_t)e->len;
    if (q->registers && call) emit_registers(e, control);
    if (q->registers && !call) {
        EMIT(e, 0x4c, STORE, 0xb9); // mov %r15,offset(%rcx)
        emit_u32(e, PROBE_ENTRY_MAX - 8);
        emit_entry(e, STORE, offsetof(struct probe_entry, address));
        emit_registers(e, control);
        emit_entry(e, LOAD, offsetof(struct probe_entry, address));
    } else if (!call) {
        emit_entry(e, STORE, offsetof(struct probe_entry, address));
    }
    if (call) {
        EMIT(e, 0x48, STORE, 0x61, offsetof(struct probe_entry, address)); // mov %rsp,address(%rcx)
        p->read = (uint16_t)e->len;
        EMIT(e, 0x48, 0x8b, 0x04, 0x24); // mov (%rsp),%rax
        emit_entry(e, STORE, offsetof(struct probe_entry, before));
        emit_entry(e, STORE, offsetof(struct probe_entry, after));
        emit_id(e, q);
        emit_advance(e, q, control);
    } else {
        p->read = (uint16_t)e->len;
        emit_read(e, q->size);
        emit_entry(e, STORE, offsetof(struct probe_entry, before));
    }
    emit_restore(e, control);
}

// What is known behind it.
static void emit_after(struct emitter *e, const struct probe_request *q, const ZydisDecodedInstruction *in,
                       uint64_t control) {
    emit_save(e, control);
    emit_control(e, LOAD, RCX, control + offsetof(struct probe_control, head));
    emit_id(e, q);
    if (in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG || in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B)
        EMIT(e, 0x0f, 0x95, 0x41, offsetof(struct probe_entry, unequal)); // setne unequal(%rcx)
    emit_entry(e, LOAD, offsetof(struct probe_entry, address));
    emit_read(e, q->size);
    emit_entry(e, STORE, offsetof(struct probe_entry, after));
    emit_advance(e, q, control);
    emit_restore(e, control);
}

// The instruction without its lock prefix: nobody else runs, and the prefix makes the CPU wait for all stores before it.
static void emit_unlocked(struct emitter *e, const struct probe_request *q,
                          const ZydisDecodedInstruction *in) {
    uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
    size_t len = 0;
    bool prefixes = true;
    for (size_t i = 0; i < in->length; i++) {
        prefixes = prefixes && i < in->raw.prefix_count;
        if (!prefixes || q->code[i] != LOCK_PREFIX) bytes[len++] = q->code[i];
    }
    ZydisDecodedInstruction bare;
    if (!code_decode(bytes, len, &bare) || bare.length != len) {
        e->bad = true;
        return;
    }
    emit_displaced(e, &bare, bytes, q->address + in->length - len);
}

bool probe_build(const struct probe_request *q, const struct probe_plan *plan, uint64_t stub_address,
                 uint64_t control, uint8_t stub[PROBE_STUB_MAX], struct probe *out) {
    struct emitter e = {.code = stub, .size = PROBE_STUB_MAX, .address = stub_address};
    struct emitter jump = {.code = out->patch, .size = PROBE_JUMP, .address = q->address};
    *out = (struct probe){.address = q->address,
                          .stub_address = stub_address,
                          .id = q->id,
                          .kind = q->kind,
                          .size = q->size,
                          .registers = q->registers,
                          .displaced = plan->displaced};
    memcpy(out->original, q->code, plan->displaced > PROBE_JUMP ? plan->displaced : PROBE_JUMP);
    for (size_t i = 0; i < plan->count; i++) {
        size_t at = plan->starts[i];
        ZydisDecodedInstruction in;
        if (!code_decode(q->code + at, q->len - at, &in)) return false;
        if (i == 0) emit_before(&e, q, &in, control, out);
        out->map[i].program = (uint8_t)at;
        out->map[i].stub = (uint16_t)e.len;
        out->count++;
        if (i == 0 && q->kind == PROBE_OPERAND) {
            emit_unlocked(&e, q, &in);
            emit_after(&e, q, &in, control);
        } else {
            emit_displaced(&e, &in, q->code + at, q->address + at);
        }
    }
    emit_jmp(&e, q->address + plan->displaced);
    emit_jmp(&jump, stub_address);
    out->stub_len = (uint16_t)e.len;
    uint32_t distance;
    memcpy(&distance, out->patch + 1, sizeof distance);
    return !e.bad && !jump.bad && (distance & plan->mask) == plan->value;
}

enum probe_stop probe_stopped(const struct probe *p, uint64_t pc, uint64_t *program_pc) {
    uint64_t offset = pc - p->stub_address;
    *program_pc = p->address;
    if (offset == p->full) return PROBE_FULL;
    if (offset == p->read) return PROBE_READ;
    if (offset == 0) return PROBE_PROGRAM;
    for (size_t i = 0; i < p->count; i++) {
        if (p->map[i].stub != offset) continue;
        *program_pc = p->address + p->map[i].program;
        return PROBE_PROGRAM;
    }
    return PROBE_ELSEWHERE;
}

uint64_t probe_copy(const struct probe *p, uint64_t pc) {
    for (size_t i = 0; i < p->count; i++)
        if (p->address + p->map[i].program == pc) return p->stub_address + p->map[i].stub;
    return 0;
}

#include "core/calls/call_site.h"

#include "core/calls/call_page.h"
#include "core/stub_code.h"

#include <string.h>

enum { LOOKED_BACK = 8, SYSCALL_LENGTH = 2 };

struct instruction {
    ZydisDecodedInstruction in;
    uint64_t address;
    const uint8_t *bytes;
};

// May it run in a stub, which goes on behind it? Only what cannot fault there: a fault would show the stub's pc. What is
// atomic stays as well: the lock history looks for it at its place.
static bool fits(const ZydisDecodedInstruction *in) {
    if (!code_is_displaceable(in) || in->attributes & ZYDIS_ATTRIB_HAS_LOCK) return false;
    bool memory = in->attributes & ZYDIS_ATTRIB_HAS_MODRM && in->raw.modrm.mod != 3;
    bool stack = memory && in->raw.modrm.rm == 4 && in->raw.sib.base == 4 && in->raw.sib.index == 4 &&
                 !in->raw.rex.B && !in->raw.rex.X;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_NOP:
        return true;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
        return !memory || stack || code_is_rip_relative(in);
    default:
        return in->meta.category == ZYDIS_CATEGORY_COND_BR && code_is_relative(in);
    }
}

// The instructions that lead up to `end`, the last ones of a function that begins at `start`: at most `max`. 0: none is known to
// end there.
static int leading_up(const uint8_t *code, uint64_t start, uint64_t end, struct instruction *out, int max) {
    int count = 0;
    for (uint64_t at = start; at < end;) {
        if (count == max) memmove(out, out + 1, (size_t)--count * sizeof *out);
        out[count].address = at;
        out[count].bytes = code + (at - start);
        if (!code_decode(out[count].bytes, end - at, &out[count].in)) return 0;
        at += out[count++].in.length;
    }
    return count;
}

static void emit_stub(struct emitter *e, const struct instruction *displaced, int count, uint64_t behind) {
    for (int i = 0; i < count; i++)
        emit_displaced(e, &displaced[i].in, displaced[i].bytes, displaced[i].address);
    EMIT(e, 0x48, 0xb9); // movabs $behind,%rcx
    emit_u64(e, behind);
    EMIT(e, 0x49, 0xbb); // movabs $CALL_ENTRY,%r11
    emit_u64(e, CALL_ENTRY);
    EMIT(e, 0x41, 0xff, 0xe3); // jmp *%r11
}

bool call_site_build(const uint8_t *code, uint64_t start, uint64_t syscall_address, uint64_t stub_address,
                     struct call_site *out) {
    struct instruction all[LOOKED_BACK];
    const uint8_t *instruction = code + (syscall_address - start);
    if (instruction[0] != 0x0f || instruction[1] != 0x05) return false;
    int count = leading_up(code, start, syscall_address, all, LOOKED_BACK), first = count;
    do
        if (!first || !fits(&all[--first].in)) return false;
    while (all[first].in.length < CALL_JUMP);
    *out = (struct call_site){.address = all[first].address, .patch_len = all[first].in.length};
    struct emitter stub = {.code = out->stub, .size = sizeof out->stub, .address = stub_address};
    emit_stub(&stub, all + first, count - first, syscall_address + SYSCALL_LENGTH);
    struct emitter jump = {.code = out->patch, .size = CALL_JUMP, .address = out->address};
    emit_jmp(&jump, stub_address);
    memset(out->patch + CALL_JUMP, 0xcc, sizeof out->patch - CALL_JUMP);
    out->stub_len = stub.len;
    return !stub.bad && !jump.bad;
}

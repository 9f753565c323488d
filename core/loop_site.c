// A counting or comparing stub on one place of a loop: which instructions may be displaced, and the code that
// takes their place.
#include "core/loop_site.h"

#include "core/array.h"
#include "core/abi.h"
#include "core/code_operands.h"
#include "core/probe.h"
#include "core/stub_code.h"

#include <stdlib.h>
#include <string.h>

enum { JMP_LEN = 5, FUNCTION_MAX = 1 << 20, EXPLORE_MAX = 8192, EXPLORE_SLOTS = 4 * EXPLORE_MAX };

// A jump whose target is computed. `jmp *slot(%rip)` is none: that is how PLTs and tail calls leave a
// function.
static bool is_computed_jump(const ZydisDecodedInstruction *in) {
    return in->mnemonic == ZYDIS_MNEMONIC_JMP && !code_is_relative(in) && !code_is_rip_relative(in);
}

// ---- which bytes of a function are entered

enum { STARTS = 1, ENTERED = 2 }; // an instruction begins here; a branch (or a taken address) leads here

struct code_map {
    const struct code_memory *memory;
    uint64_t start, end; // 0, 0: function unknown
    uint8_t *bytes, *flags;
    bool decoded;      // from start to end without a gap
    bool jumps_known;  // ... and all ways into it are
    uint64_t *visited; // outside of the function: open addressing, 0 is free
    size_t visited_count;
    uint64_t *work; // branch targets outside, still to be followed
    size_t work_count;
};

static bool in_function(const struct code_map *map, uint64_t address) {
    return address >= map->start && address < map->end;
}

static bool enter(struct code_map *map, uint64_t target) {
    if (in_function(map, target)) {
        map->flags[target - map->start] |= ENTERED;
        return true;
    }
    uint64_t *new = array_try_add(map->work, map->work_count);
    if (new) *new = target;
    return new;
}

// 1: new; 0: seen; -1: too much code.
static int visit(struct code_map *map, uint64_t address) {
    size_t i = (address * 0x9e3779b97f4a7c15ull >> 32) % EXPLORE_SLOTS;
    for (; map->visited[i]; i = (i + 1) % EXPLORE_SLOTS)
        if (map->visited[i] == address) return 0;
    if (map->visited_count == EXPLORE_MAX) return -1;
    map->visited[i] = address;
    map->visited_count++;
    return 1;
}

// Up to 15 bytes of code; fewer where a mapping ends.
static size_t read_instruction(const struct code_memory *m, uint64_t address, uint8_t bytes[15]) {
    size_t to_page_end = next_page(address) - address;
    if (m->read(m->context, address, bytes, 15)) return 15;
    return to_page_end < 15 && m->read(m->context, address, bytes, to_page_end) ? to_page_end : 0;
}

// Follows one path outside of the function until it ends; false: it may lead anywhere.
static bool explore_path(struct code_map *map, uint64_t pc) {
    for (;;) {
        ZydisDecodedInstruction in;
        uint8_t bytes[15];
        if (in_function(map, pc)) return enter(map, pc);
        int fresh = visit(map, pc);
        if (fresh <= 0) return fresh == 0;
        size_t len = read_instruction(map->memory, pc, bytes);
        if (!code_decode(bytes, len, &in)) return true; // would fault there
        if (is_computed_jump(&in)) return false;
        if (code_is_relative(&in) &&
            (in.mnemonic != ZYDIS_MNEMONIC_CALL || in_function(map, code_branch_target(&in, pc))) &&
            !enter(map, code_branch_target(&in, pc)))
            return false;
        if (code_ends_flow(&in)) return true;
        pc += in.length;
    }
}

static bool explore_outside(struct code_map *map) {
    if (map->work_count == 0) return true;
    map->visited = calloc(EXPLORE_SLOTS, sizeof *map->visited);
    if (!map->visited) return false;
    while (map->work_count)
        if (!explore_path(map, map->work[--map->work_count])) return false;
    return true;
}

static void map_function(struct code_map *map) {
    size_t size = map->end - map->start;
    if (map->end <= map->start || size > FUNCTION_MAX) goto unknown;
    map->bytes = malloc(size);
    map->flags = calloc(size, 1);
    if (!map->bytes || !map->flags || !map->memory->read(map->memory->context, map->start, map->bytes, size))
        goto unknown;
    bool known = true;
    size_t at = 0;
    for (ZydisDecodedInstruction in; at < size; at += in.length) {
        uint64_t pc = map->start + at;
        if (!code_decode(map->bytes + at, size - at, &in)) return;
        map->flags[at] |= STARTS;
        if (is_computed_jump(&in)) known = false;
        if (code_is_rip_relative(&in) && in_function(map, pc + in.length + (uint64_t)in.raw.disp.value) &&
            !enter(map, pc + in.length + (uint64_t)in.raw.disp.value))
            known = false;
        if (code_is_relative(&in) &&
            (in.mnemonic != ZYDIS_MNEMONIC_CALL || in_function(map, code_branch_target(&in, pc))) &&
            !enter(map, code_branch_target(&in, pc)))
            known = false;
        if (at + in.length == size && !code_ends_flow(&in) && in.mnemonic != ZYDIS_MNEMONIC_CALL &&
            !enter(map, map->end))
            known = false; // runs on into what follows
    }
    map->decoded = true;
    map->jumps_known = known && explore_outside(map);
    return;
unknown:
    map->start = map->end = 0;
}

static void map_release(struct code_map *map) {
    free(map->bytes);
    free(map->flags);
    free(map->visited);
    free(map->work);
}

// Whether a branch leads to a byte in (address, address + len).
static bool entered_inside(const struct code_map *map, uint64_t address, size_t len) {
    for (size_t i = 1; i < len; i++)
        if (in_function(map, address + i) && (map->flags[address + i - map->start] & ENTERED)) return true;
    return false;
}

// ---- flags that nobody reads

enum {
    FLAG_CF = 0x001,
    FLAG_PF = 0x004,
    FLAG_AF = 0x010,
    FLAG_ZF = 0x040,
    FLAG_SF = 0x080,
    FLAG_DF = 0x400,
    FLAG_OF = 0x800,
    FLAGS_ALL = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

// Which flags the instruction gives a value that does not depend on what they were. Shifts by 0, `rep` with rcx 0 and
// "undefined" ones may leave them as they are, so only these count (Intel SDM vol. 1, table A-1).
static uint32_t flags_written(const ZydisDecodedInstruction *in) {
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_XADD:
        return FLAGS_ALL;
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST:
        return FLAGS_ALL & ~(uint32_t)FLAG_AF;
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
        return FLAGS_ALL & ~(uint32_t)FLAG_CF;
    default:
        return 0;
    }
}

// Whether all code from `pc` on, as far as it runs straight ahead, writes each of the flags before it reads it.
static bool flags_are_dead(const struct code_map *map, uint64_t pc) {
    uint32_t written = 0;
    for (int n = 0; n < 16; n++) {
        ZydisDecodedInstruction in;
        uint8_t bytes[15];
        size_t len = read_instruction(map->memory, pc, bytes);
        if (!code_decode(bytes, len, &in) || code_is_bound_to_its_place(&in) || code_ends_flow(&in) ||
            code_is_relative(&in) || in.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
            in.mnemonic == ZYDIS_MNEMONIC_CALL)
            return false;
        if (in.cpu_flags && in.cpu_flags->tested & FLAGS_ALL & ~written) return false;
        written |= flags_written(&in);
        if (written == FLAGS_ALL) return true;
        pc += in.length;
    }
    return false;
}

// ---- the stub's code

// mov %rax <-> memory at any 64-bit address, without another register
static void emit_load_rax(struct emitter *e, uint64_t address) {
    EMIT(e, 0x48, 0xa1);
    emit_u64(e, address);
}

static void emit_store_rax(struct emitter *e, uint64_t address) {
    EMIT(e, 0x48, 0xa3);
    emit_u64(e, address);
}

// A forward jump of which the target comes later.
static size_t emit_forward(struct emitter *e, const void *opcode, size_t len) {
    emit(e, opcode, len);
    emit_u32(e, 0);
    return e->len;
}

static void land_forward(struct emitter *e, size_t from) {
    uint32_t rel = (uint32_t)(e->len - from);
    if (!e->bad) memcpy(e->code + from - 4, &rel, sizeof rel);
}

// The save area: rax, flags (ah: SF ZF AF PF CF as lahf puts them; al: OF), rcx.
enum { SAVE_RAX = 0, SAVE_FLAGS = 8, SAVE_RCX = 16 };

static void emit_save(struct emitter *e, uint64_t save) {
    emit_store_rax(e, save + SAVE_RAX);
    EMIT(e, 0x9f);             // lahf
    EMIT(e, 0x0f, 0x90, 0xc0); // seto %al
    emit_store_rax(e, save + SAVE_FLAGS);
}

static void emit_restore(struct emitter *e, uint64_t save) {
    emit_load_rax(e, save + SAVE_FLAGS);
    EMIT(e, 0x04, 0x7f); // add $0x7f,%al: overflows if al was 1
    EMIT(e, 0x9e);       // sahf, leaves OF alone
    emit_load_rax(e, save + SAVE_RAX);
}

static void emit_restore_rcx(struct emitter *e, uint64_t save) {
    emit_load_rax(e, save + SAVE_RCX);
    EMIT(e, 0x48, 0x89, 0xc1); // mov %rax,%rcx
}

// The displaced instructions and the jump back. map may be NULL.
static void emit_displaced_all(struct emitter *e, const struct loop_site *site, struct loop_site *map) {
    size_t at = 0;
    bool ended = false;
    for (ZydisDecodedInstruction in; at < site->patch_len && !ended; at += in.length) {
        uint64_t pc = site->address + at;
        if (!code_decode(site->original + at, site->patch_len - at, &in) || !code_is_displaceable(&in)) {
            e->bad = true;
            return;
        }
        if (map) {
            map->map[map->map_count].stub = (uint8_t)e->len;
            map->map[map->map_count++].site = (uint8_t)at;
        }
        emit_displaced(e, &in, site->original + at, pc);
        ended = code_ends_flow(&in) || in.mnemonic == ZYDIS_MNEMONIC_CALL;
    }
    if (ended) return;
    if (map) {
        map->map[map->map_count].stub = (uint8_t)e->len;
        map->map[map->map_count++].site = site->patch_len;
    }
    emit_jmp(e, site->address + site->patch_len);
}

// Flags that nobody reads need no place. They are the same in each iteration and whatever the limit is: ZF and PF, as behind
// a PLT stub.
static void emit_restore_dead(struct emitter *e, uint64_t save) {
    EMIT(e, 0x31, 0xc0); // xor %eax,%eax
    emit_load_rax(e, save + SAVE_RAX);
}

static bool build_stub(struct loop_site *site, bool dead_flags, const struct loop_counter *counter) {
    static const uint8_t jae[] = {0x0f, 0x83};
    void (*const restore)(struct emitter *, uint64_t) = dead_flags ? emit_restore_dead : emit_restore;
    struct emitter e = {.code = site->stub, .size = sizeof site->stub, .address = site->stub_address};
    uint64_t save = site->save_address;
    if (dead_flags)
        emit_store_rax(&e, save + SAVE_RAX);
    else
        emit_save(&e, save);
    EMIT(&e, 0x48, 0x89, 0xc8); // mov %rcx,%rax
    emit_store_rax(&e, save + SAVE_RCX);
    EMIT(&e, 0x48, 0xb9); // movabs $count,%rcx
    emit_u64(&e, counter->count_address);
    EMIT(&e, 0x48, 0xff, 0x01); // incq (%rcx)
    emit_load_rax(&e, counter->limit_address);
    EMIT(&e, 0x48, 0x39, 0x01); // cmp %rax,(%rcx)
    size_t trap = emit_forward(&e, jae, sizeof jae);
    emit_restore_rcx(&e, save);
    restore(&e, save);
    uint64_t go_on = e.address + e.len;
    emit_displaced_all(&e, site, site);
    land_forward(&e, trap);
    emit_restore_rcx(&e, save);
    restore(&e, save);
    EMIT(&e, 0xcc);
    site->trap_pc = e.address + e.len;
    emit_jmp(&e, go_on);
    site->stub_len = e.len;
    return !e.bad;
}

static bool build_patch(struct loop_site *site) {
    struct emitter e = {.code = site->patch, .size = sizeof site->patch, .address = site->address};
    emit_jmp(&e, site->stub_address);
    while (e.len < site->patch_len && !e.bad)
        EMIT(&e, 0xcc);
    return !e.bad;
}

// ---- the choice of a place

enum form { SINGLE, CALL, WINDOW };

static const struct {
    enum form form;
    bool inside; // of the function
} preferences[] = {{SINGLE, true}, {CALL, true}, {WINDOW, true}, {SINGLE, false}, {CALL, false}};

// How many bytes to replace at `address`, their copy in `bytes`; 0: this is no place of that form.
static size_t measure_single(const struct code_map *map, uint64_t address, enum form form,
                             uint8_t bytes[16]) {
    ZydisDecodedInstruction in;
    size_t have = read_instruction(map->memory, address, bytes);
    if (!code_decode(bytes, have, &in) || in.length < JMP_LEN || !code_is_displaceable(&in)) return 0;
    if ((in.mnemonic == ZYDIS_MNEMONIC_CALL) != (form == CALL)) return 0;
    if (code_is_relative(&in) && code_branch_target(&in, address) - address - 1 < in.length - 1u) return 0;
    if (in_function(map, address) && map->decoded) {
        if (!(map->flags[address - map->start] & STARTS)) return 0;
        return entered_inside(map, address, in.length) ? 0 : in.length;
    }
    return in.attributes & ZYDIS_ATTRIB_HAS_LOCK ? 0 : in.length; // old glibc jumps over lock prefixes
}

static size_t measure_window(const struct code_map *map, uint64_t address, uint8_t bytes[16]) {
    size_t total = 0;
    bool ended = false;
    if (!map->jumps_known || !in_function(map, address)) return 0;
    while (total < JMP_LEN) {
        ZydisDecodedInstruction in;
        uint64_t pc = address + total;
        if (!in_function(map, pc) || !(map->flags[pc - map->start] & STARTS)) return 0;
        if (!code_decode(map->bytes + (pc - map->start), map->end - pc, &in)) return 0;
        // behind a jump or return only padding: anything else there is reached in a way not seen
        if (ended ? in.mnemonic != ZYDIS_MNEMONIC_NOP
                  : !code_is_displaceable(&in) || in.mnemonic == ZYDIS_MNEMONIC_CALL)
            return 0;
        if (total && (in.mnemonic == ZYDIS_MNEMONIC_ENDBR64 || in.mnemonic == ZYDIS_MNEMONIC_ENDBR32))
            return 0;
        ended = ended || code_ends_flow(&in);
        total += in.length;
    }
    if (total > 16 || entered_inside(map, address, total)) return 0;
    memcpy(bytes, map->bytes + (address - map->start), total);
    return total;
}

// Nothing of it yet but its place.
static struct loop_site site_at(uint64_t address, size_t patch_len, const struct loop_counter *counter) {
    return (struct loop_site){.address = address,
                              .patch_len = (uint8_t)patch_len,
                              .stub_address = counter->stub_address,
                              .save_address = LOOP_SAVE_AREA(counter->limit_address)};
}

int loop_site_build(const struct code_memory *memory, const struct loop_iteration *iteration,
                    const struct loop_counter *counter, struct loop_site *out) {
    struct code_map map = {
        .memory = memory, .start = iteration->function_start, .end = iteration->function_end};
    bool found = false;
    map_function(&map);
    for (size_t k = 0; k < sizeof preferences / sizeof *preferences && !found; k++) {
        enum form form = preferences[k].form;
        for (size_t i = 0; i < iteration->count && !found; i++) {
            uint64_t pc = iteration->pcs[i];
            // an unknown function: every place counts as outside
            if (in_function(&map, pc) != preferences[k].inside) continue;
            uint8_t bytes[16] = {0};
            size_t len =
                form == WINDOW ? measure_window(&map, pc, bytes) : measure_single(&map, pc, form, bytes);
            if (len == 0) continue;
            *out = site_at(pc, len, counter);
            memcpy(out->original, bytes, len);
            found = build_stub(out, flags_are_dead(&map, pc), counter) && build_patch(out);
        }
    }
    map_release(&map);
    return found ? 0 : -1;
}

bool loop_site_jump_meets_atomic(const uint8_t *code, size_t len) {
    ZydisDecodedInstruction in;
    for (size_t at = 0; at < PROBE_JUMP && code_decode(code + at, len - at, &in); at += in.length) {
        bool exchange = in.mnemonic == ZYDIS_MNEMONIC_XCHG && in.raw.modrm.mod != 3;
        if (at && (exchange || in.attributes & ZYDIS_ATTRIB_HAS_LOCK)) return true;
    }
    return false;
}

size_t loop_site_reach(const struct loop_site *site) {
    return site->patch_len < PROBE_JUMP ? PROBE_JUMP : site->patch_len;
}

int loop_site_build_planned(const uint8_t *code, size_t len, uint64_t pc, const struct probe_plan *plan,
                            const struct loop_counter *counter, struct loop_site *out) {
    if (plan->displaced > sizeof out->patch || plan->displaced > len || len < PROBE_JUMP) return -1;
    *out = site_at(pc, plan->displaced, counter);
    memcpy(out->original, code, plan->displaced);
    if (!build_stub(out, false, counter) || !build_patch(out)) return -1;
    uint32_t distance;
    memcpy(&distance, out->patch + 1, sizeof distance);
    return (distance & plan->mask) == plan->value ? 0 : -1;
}

static uint64_t place_from(const struct probe_plan *plan, uint64_t pc, uint64_t from, uint64_t size,
                           uint64_t (*in_the_way)(void *context, uint64_t start, uint64_t end),
                           void *context) {
    const uint64_t highest = 0x7fffffff0000;
    for (uint64_t at, past; (at = probe_place(plan, pc, from)) && at + size < highest; from = past) {
        past = in_the_way(context, at, at + size);
        if (!past) return at;
        if (past <= at) return 0;
    }
    return 0;
}

uint64_t loop_site_place(const struct probe_plan *plan, uint64_t pc, uint64_t size,
                         uint64_t (*in_the_way)(void *context, uint64_t start, uint64_t end), void *context) {
    // Rather not at the very end of the jump's reach: what is displaced must reach what it names, too.
    const uint64_t lowest = 1 << 20, near = pc > (1ull << 30) + lowest ? pc - (1ull << 30) : lowest;
    uint64_t at = place_from(plan, pc, near, size, in_the_way, context);
    return at || near == lowest ? at : place_from(plan, pc, lowest, size, in_the_way, context);
}

bool loop_site_program_pc(const struct loop_site *site, uint64_t pc, uint64_t *program_pc) {
    uint64_t offset = pc - site->stub_address;
    if (offset >= site->stub_len) return false;
    *program_pc = site->address;
    if (offset == 0 || pc == site->trap_pc || pc == site->trap_pc - 1) return true;
    for (size_t i = 0; i < site->map_count; i++) {
        if (site->map[i].stub != offset) continue;
        *program_pc = site->address + site->map[i].site;
        return true;
    }
    return false;
}

// ---- the comparing stub

enum { LAHF_FLAGS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF, LAHF_ONES = 0x02 };

enum { RAX = 0, RCX = 1, RSI = 6 };

struct mismatch {
    size_t jumps[ABI_REGISTERS + 8 + 2];
    size_t count;
};

static void emit_unless_equal(struct emitter *e, struct mismatch *out) {
    static const uint8_t jne[] = {0x0f, 0x85};
    out->jumps[out->count++] = emit_forward(e, jne, sizeof jne);
}

// movabs $value,%reg, reg below 8; leaves the flags alone
static void emit_set(struct emitter *e, int reg, uint64_t value) {
    EMIT(e, 0x48, (uint8_t)(0xb8 + reg));
    emit_u64(e, value);
}

int loop_site_build_compare(const struct loop_site *site, const struct state_want *want,
                            struct compare_stub *out) {
    if (want->word_count < 0 || want->word_count > 8) return -1;
    struct emitter e = {.code = out->code, .size = sizeof out->code, .address = site->stub_address};
    struct mismatch mismatch = {.count = 0};
    uint64_t save = site->save_address;
    const uint64_t *gpr = want->gpr;
    emit_save(&e, save);
    EMIT(&e, 0x66, 0x3d, (want->rflags & FLAG_OF) != 0,
         (uint8_t)((want->rflags & LAHF_FLAGS) | LAHF_ONES)); // cmp $x,%ax
    emit_unless_equal(&e, &mismatch);
    for (int i = 1; i < ABI_REGISTERS; i++) {
        emit_set(&e, RAX, gpr[i]);
        EMIT(&e, 0x48 | i >> 3, 0x39, 0xc0 | (i & 7)); // cmp %rax,%reg
        emit_unless_equal(&e, &mismatch);
    }
    // from here every register but rax is known, so rcx and rsi can be lent and put back
    emit_load_rax(&e, save + SAVE_RAX);
    for (int i = -1; i < want->word_count; i++) {
        if (i >= 0) emit_load_rax(&e, want->words[i].address);
        emit_set(&e, RCX, i < 0 ? gpr[RAX] : want->words[i].value);
        EMIT(&e, 0x48, 0x39, 0xc8); // cmp %rcx,%rax
        emit_set(&e, RCX, gpr[RCX]);
        emit_unless_equal(&e, &mismatch);
    }
    // lahf has no DF: see which way lodsb goes (pushf would write to the red zone)
    emit_set(&e, RSI, save + SAVE_FLAGS);
    EMIT(&e, 0xac); // lodsb
    emit_set(&e, RAX, save + SAVE_FLAGS + (want->rflags & FLAG_DF ? -1ull : 1ull));
    EMIT(&e, 0x48, 0x39, 0xc6); // cmp %rax,%rsi
    emit_set(&e, RSI, gpr[RSI]);
    emit_unless_equal(&e, &mismatch);
    emit_restore(&e, save);
    EMIT(&e, 0xcc);
    out->trap_pc = e.address + e.len;
    size_t go_on = emit_forward(&e, (const uint8_t[]){0xe9}, 1);
    for (size_t i = 0; i < mismatch.count; i++)
        land_forward(&e, mismatch.jumps[i]);
    emit_restore(&e, save);
    land_forward(&e, go_on);
    out->displaced = e.len;
    emit_displaced_all(&e, site, NULL);
    out->len = e.len;
    return e.bad ? -1 : 0;
}

#include "replayer/verdict/releaser.h"

#include "replayer/names/stack.h"
#include "replayer/verdict/code_walk.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 64, PLACES = 2048, DEEP = 3 };

// A way through the code: the instruction that comes next, and the first argument's register where it is known.
struct way {
    uint64_t pc, rdi;
    bool known;
};

struct walk {
    struct code code;
    uint64_t lock;
    uint64_t seen[PLACES];
    size_t seen_count;
    bool releases;
};

static bool first_time(struct walk *k, uint64_t pc) {
    for (size_t i = 0; i < k->seen_count; i++)
        if (k->seen[i] == pc) return false;
    if (k->seen_count == PLACES) return false;
    k->seen[k->seen_count++] = pc;
    return true;
}

static void follow_argument(struct way *w, const struct instruction *i) {
    const ZydisDecodedInstruction *in = &i->in;
    const ZydisDecodedOperand *operands = i->operands;
    if (in->operand_count < 1 || operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER) return;
    if (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operands[0].reg.value) !=
        ZYDIS_REGISTER_RDI)
        return;
    if (!(operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) return;
    const ZydisDecodedOperand *o = &operands[1];
    bool lea = in->mnemonic == ZYDIS_MNEMONIC_LEA && o->mem.base == ZYDIS_REGISTER_RIP;
    bool mov = in->mnemonic == ZYDIS_MNEMONIC_MOV && o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    w->known = lea || mov;
    if (lea) w->rdi = w->pc + in->length + (uint64_t)o->mem.disp.value;
    if (mov) w->rdi = o->imm.value.u;
}

static bool walk_from(struct walk *k, struct way w, int depth);

// What a call does on the way. False: the way need not be followed behind it.
static bool comes_back(struct walk *k, const struct way *w, uint64_t target, int depth) {
    struct frame f;
    if (!target) return true;
    target = code_past_plt(&k->code, target);
    symbols_pc(k->code.symbols, k->code.view, target, &f);
    const char *name = f.function ? stack_plain_name(f.function) : "";
    if (code_gives_lock(name)) {
        k->releases |= !w->known || w->rdi == k->lock;
        return true;
    }
    if (code_takes_lock(name) || code_never_returns(name)) return false;
    if (stack_is_libc(&f) || depth >= DEEP) return true;
    return walk_from(k, (struct way){target, w->rdi, w->known}, depth + 1);
}

// Follows the code from w.pc on, to the end of its function. Does some way return from there?
static bool walk_from(struct walk *k, struct way w, int depth) {
    enum { WAYS = 64 };
    struct way ways[WAYS];
    size_t count = 0;
    bool returns = false;
    for (ways[count++] = w; count && !k->releases;) {
        w = ways[--count];
        while (first_time(k, w.pc) && !k->releases) {
            struct instruction i;
            if (!code_instruction(&k->code, w.pc, &i)) break;
            if (i.in.meta.category == ZYDIS_CATEGORY_RET) {
                returns = true;
                break;
            }
            uint64_t next = w.pc + i.in.length;
            if (i.in.meta.category == ZYDIS_CATEGORY_CALL) {
                if (!comes_back(k, &w, code_target(&k->code, w.pc, &i), depth)) break;
                w.known = false;
            } else if (i.in.meta.category == ZYDIS_CATEGORY_COND_BR) {
                uint64_t target = code_target(&k->code, w.pc, &i);
                if (target && count < WAYS) ways[count++] = (struct way){target, w.rdi, w.known};
            } else if (i.in.meta.category == ZYDIS_CATEGORY_UNCOND_BR) {
                bool slot = i.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
                next = code_target(&k->code, w.pc, &i);
                if (slot && next) { // the last call of a function, as a jump
                    returns |= comes_back(k, &w, next, depth);
                    break;
                }
                if (!next) { // through a pointer: of a switch, or a call
                    returns = true;
                    break;
                }
            } else {
                follow_argument(&w, &i);
            }
            w.pc = next;
        }
    }
    return returns;
}

static bool in_condition(const struct frame *frames, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *name = frames[i].function ? stack_plain_name(frames[i].function) : "";
        if (!strncmp(name, "pthread_cond_", 13) || !strncmp(name, "cnd_", 4)) return true;
    }
    return false;
}

bool releaser_in(struct symbols *symbols, const struct view *view, const struct frame *frames, size_t n,
                 uint64_t lock) {
    // It comes back from there with that condition's mutex, which it may give back.
    if (in_condition(frames, n)) return false;
    struct walk *k = calloc(1, sizeof *k);
    rf_assert(k);
    code_begin(&k->code, symbols, view);
    k->lock = lock;
    for (size_t i = 0; i < n && !k->releases; i++) {
        if (stack_is_libc(&frames[i]) || frames[i].inlined) continue;
        if (!walk_from(k, (struct way){.pc = frames[i].pc}, 0)) break;
    }
    bool releases = k->releases;
    free(k);
    return releases;
}

bool releaser_ahead(struct analysis *a, int tid, uint64_t lock) {
    struct frame frames[FRAMES];
    struct view view;
    struct rf_error err;
    size_t n = timeline_stack(a->timeline, tid, frames, FRAMES);
    return replay_view(timeline_replay(a->timeline), tid, &view, &err) == 0 &&
           releaser_in(timeline_symbols(a->timeline), &view, frames, n, lock);
}

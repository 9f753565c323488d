#include "replayer/verdict/releaser.h"

#include "core/annex.h"
#include "replayer/names/stack.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 64, PLACES = 2048, DEEP = 3, STUB_TARGET = 56, INSTRUCTION = 15 };

// A way through the code: the instruction that comes next, and the first argument's register where it is known.
struct way {
    uint64_t pc, rdi;
    bool known;
};

struct walk {
    struct symbols *symbols;
    const struct view *view;
    ZydisDecoder decoder;
    uint64_t lock;
    uint64_t seen[PLACES];
    size_t seen_count;
    bool releases;
};

static bool one_of(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

#define ONE_OF(name, list) one_of(name, list, sizeof list / sizeof *list)

static bool takes(const char *name) {
    static const char *const names[] = {"pthread_mutex_lock",
                                        "pthread_mutex_trylock",
                                        "pthread_mutex_timedlock",
                                        "pthread_mutex_clocklock",
                                        "pthread_rwlock_rdlock",
                                        "pthread_rwlock_wrlock",
                                        "pthread_spin_lock",
                                        "pthread_cond_wait",
                                        "pthread_cond_timedwait",
                                        "pthread_cond_clockwait",
                                        "sem_wait",
                                        "new_sem_wait",
                                        "sem_timedwait",
                                        "sem_clockwait",
                                        "mtx_lock",
                                        "cnd_wait",
                                        "flockfile",
                                        "g_mutex_lock"};
    return ONE_OF(name, names);
}

static bool gives(const char *name) {
    static const char *const names[] = {
        "pthread_mutex_unlock", "pthread_rwlock_unlock", "pthread_spin_unlock", "sem_post", "new_sem_post",
        "mtx_unlock",           "funlockfile",           "g_mutex_unlock"};
    return ONE_OF(name, names);
}

static bool never_returns(const char *name) {
    static const char *const names[] = {"exit",         "Exit",           "abort",
                                        "pthread_exit", "stack_chk_fail", "assert_fail"};
    return ONE_OF(name, names);
}

static bool read_word(const struct walk *k, uint64_t address, uint64_t *value) {
    return k->view->read(k->view->context, address, value, sizeof *value);
}

static bool decode(const struct walk *k, uint64_t pc, ZydisDecodedInstruction *in,
                   ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT]) {
    uint8_t code[INSTRUCTION];
    size_t length = sizeof code;
    while (length && !k->view->read(k->view->context, pc, code, length))
        length--; // at the end of a mapping
    return length && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&k->decoder, code, length, in, operands));
}

// Where a branch or call goes; 0: cannot be told.
static uint64_t target_of(const struct walk *k, uint64_t pc, const ZydisDecodedInstruction *in,
                          const ZydisDecodedOperand *o) {
    uint64_t next = pc + in->length, value;
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.is_relative) return next + (uint64_t)o->imm.value.s;
    if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.base != ZYDIS_REGISTER_RIP) return 0;
    if (!read_word(k, next + (uint64_t)o->mem.disp.value, &value)) return 0;
    // The slot leads through a stub that counts calls.
    if (annex_contains(value) &&
        !read_word(k, value / ANNEX_STUB_SIZE * ANNEX_STUB_SIZE + STUB_TARGET, &value))
        return 0;
    return value;
}

// Past a PLT entry: [endbr64] jmp *slot(%rip).
static uint64_t past_plt(const struct walk *k, uint64_t pc) {
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t at = pc;
    if (!decode(k, at, &in, operands)) return pc;
    if (in.mnemonic == ZYDIS_MNEMONIC_ENDBR64 && !decode(k, at += in.length, &in, operands)) return pc;
    bool slot = in.mnemonic == ZYDIS_MNEMONIC_JMP && operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    uint64_t target = slot ? target_of(k, at, &in, &operands[0]) : 0;
    return target ? target : pc;
}

static bool first_time(struct walk *k, uint64_t pc) {
    for (size_t i = 0; i < k->seen_count; i++)
        if (k->seen[i] == pc) return false;
    if (k->seen_count == PLACES) return false;
    k->seen[k->seen_count++] = pc;
    return true;
}

static void follow_argument(struct way *w, const ZydisDecodedInstruction *in,
                            const ZydisDecodedOperand *operands) {
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
    target = past_plt(k, target);
    symbols_pc(k->symbols, k->view, target, &f);
    const char *name = f.function ? stack_plain_name(f.function) : "";
    if (gives(name)) {
        k->releases |= !w->known || w->rdi == k->lock;
        return true;
    }
    if (takes(name) || never_returns(name)) return false;
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
            ZydisDecodedInstruction in;
            ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
            if (!decode(k, w.pc, &in, operands)) break;
            if (in.meta.category == ZYDIS_CATEGORY_RET) {
                returns = true;
                break;
            }
            uint64_t next = w.pc + in.length;
            if (in.meta.category == ZYDIS_CATEGORY_CALL) {
                if (!comes_back(k, &w, target_of(k, w.pc, &in, &operands[0]), depth)) break;
                w.known = false;
            } else if (in.meta.category == ZYDIS_CATEGORY_COND_BR) {
                uint64_t target = target_of(k, w.pc, &in, &operands[0]);
                if (target && count < WAYS) ways[count++] = (struct way){target, w.rdi, w.known};
            } else if (in.meta.category == ZYDIS_CATEGORY_UNCOND_BR) {
                bool slot = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
                next = target_of(k, w.pc, &in, &operands[0]);
                if (slot && next) { // the last call of a function, as a jump
                    returns |= comes_back(k, &w, next, depth);
                    break;
                }
                if (!next) { // through a pointer: of a switch, or a call
                    returns = true;
                    break;
                }
            } else {
                follow_argument(&w, &in, operands);
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

bool releaser_ahead(struct analysis *a, int tid, uint64_t lock) {
    struct frame frames[FRAMES];
    struct view view;
    struct rf_error err;
    size_t n = timeline_stack(a->timeline, tid, frames, FRAMES);
    // It comes back from there with that condition's mutex, which it may give back.
    if (in_condition(frames, n) || replay_view(timeline_replay(a->timeline), tid, &view, &err) < 0)
        return false;
    struct walk *k = calloc(1, sizeof *k);
    rf_assert(k);
    k->symbols = timeline_symbols(a->timeline);
    k->view = &view;
    k->lock = lock;
    ZydisDecoderInit(&k->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t i = 0; i < n && !k->releases; i++) {
        if (stack_is_libc(&frames[i]) || frames[i].inlined) continue;
        if (!walk_from(k, (struct way){.pc = frames[i].pc}, 0)) break;
    }
    bool releases = k->releases;
    free(k);
    return releases;
}

#include "replayer/verdict/code_walk.h"

#include "core/annex.h"

#include <string.h>

enum { STUB_TARGET = 56, INSTRUCTION = 15 };

void code_begin(struct code *c, struct symbols *symbols, const struct view *view) {
    c->symbols = symbols;
    c->view = view;
    ZydisDecoderInit(&c->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

bool code_one_of(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

bool code_takes_lock(const char *name) {
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
    return CODE_ONE_OF(name, names);
}

bool code_gives_lock(const char *name) {
    static const char *const names[] = {
        "pthread_mutex_unlock", "pthread_rwlock_unlock", "pthread_spin_unlock", "sem_post", "new_sem_post",
        "mtx_unlock",           "funlockfile",           "g_mutex_unlock"};
    return CODE_ONE_OF(name, names);
}

bool code_never_returns(const char *name) {
    static const char *const names[] = {"exit",         "Exit",           "abort",
                                        "pthread_exit", "stack_chk_fail", "assert_fail"};
    return CODE_ONE_OF(name, names);
}

static bool read_word(const struct code *c, uint64_t address, uint64_t *value) {
    return c->view->read(c->view->context, address, value, sizeof *value);
}

bool code_instruction(const struct code *c, uint64_t pc, struct instruction *out) {
    uint8_t code[INSTRUCTION];
    size_t length = sizeof code;
    while (length && !c->view->read(c->view->context, pc, code, length))
        length--; // at the end of a mapping
    return length && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&c->decoder, code, length, &out->in, out->operands));
}

uint64_t code_target(const struct code *c, uint64_t pc, const struct instruction *i) {
    const ZydisDecodedOperand *o = &i->operands[0];
    uint64_t next = pc + i->in.length, value;
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.is_relative) return next + (uint64_t)o->imm.value.s;
    if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.base != ZYDIS_REGISTER_RIP) return 0;
    if (!read_word(c, next + (uint64_t)o->mem.disp.value, &value)) return 0;
    // The slot leads through a stub that counts calls.
    if (annex_contains(value) &&
        !read_word(c, value / ANNEX_STUB_SIZE * ANNEX_STUB_SIZE + STUB_TARGET, &value))
        return 0;
    return value;
}

uint64_t code_past_plt(const struct code *c, uint64_t pc) {
    struct instruction i;
    uint64_t at = pc;
    if (!code_instruction(c, at, &i)) return pc;
    if (i.in.mnemonic == ZYDIS_MNEMONIC_ENDBR64 && !code_instruction(c, at += i.in.length, &i)) return pc;
    bool slot = i.in.mnemonic == ZYDIS_MNEMONIC_JMP && i.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    uint64_t target = slot ? code_target(c, at, &i) : 0;
    return target ? target : pc;
}

#include "replayer/verdict/handlers.h"

#include "replayer/verdict/code_walk.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { REGISTERS = 17, PLACES = 4096, PENDING = 512, VISITS = 20000, LOCK_SIZE = 64, SIGNALS = 65 };

// What is known of a register: nothing, its value, that it points into the handler's own stack or the thread's own data, or that it is
// not 0: what a try of the lock returns, which is held. FLAGS: what was compared with 0 last.
struct value {
    enum { VALUE_ANY, VALUE_KNOWN, VALUE_STACK, VALUE_BUSY } is;
    uint64_t value;
};

struct place {
    uint64_t pc;
    struct value regs[REGISTERS];
    bool pending;
};

// A walk over all ways through a handler. Where two of them meet, only what both know of a register is known.
struct reach {
    struct code code;
    uint64_t lock; // its address; 0: none
    struct place *places;
    size_t count;
    size_t slots[PLACES * 2]; // by pc: index + 1
    size_t pending[PENDING], pending_count, visits;
    enum handler_reach found;
};

static void note(struct reach *k, enum handler_reach what) {
    if (what > k->found) k->found = what;
}

// ---- registers

static int number_of(ZydisRegister reg) {
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15 ? (int)(whole - ZYDIS_REGISTER_RAX)
                                                                      : -1;
}

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, FLAGS = REGISTERS - 1 };

static struct value of_register(const struct place *p, ZydisRegister reg) {
    int n = number_of(reg);
    return n < 0 ? (struct value){0} : p->regs[n];
}

static struct value address_of(const struct place *p, const struct instruction *i,
                               const ZydisDecodedOperand *o) {
    struct value at = {VALUE_KNOWN, (uint64_t)o->mem.disp.value};
    if (o->mem.segment == ZYDIS_REGISTER_FS || o->mem.segment == ZYDIS_REGISTER_GS)
        return (struct value){VALUE_STACK, 0};
    if (o->mem.base == ZYDIS_REGISTER_RIP) {
        at.value += p->pc + i->in.length;
        return at;
    }
    if (o->mem.base != ZYDIS_REGISTER_NONE) {
        struct value base = of_register(p, o->mem.base);
        if (base.is == VALUE_STACK) return base;
        if (base.is != VALUE_KNOWN) return (struct value){0};
        at.value += base.value;
    }
    if (o->mem.index != ZYDIS_REGISTER_NONE) {
        struct value index = of_register(p, o->mem.index);
        if (index.is != VALUE_KNOWN) return (struct value){0};
        at.value += index.value * (o->mem.scale ? o->mem.scale : 1);
    }
    return at;
}

static struct value read_operand(struct reach *k, const struct place *p, const struct instruction *i,
                                 const ZydisDecodedOperand *o) {
    struct value v = {0};
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) return of_register(p, o->reg.value);
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) return (struct value){VALUE_KNOWN, o->imm.value.u};
    if (o->type != ZYDIS_OPERAND_TYPE_MEMORY) return v;
    // The thread's descriptor, by which it comes to its own data.
    if (o->mem.segment == ZYDIS_REGISTER_FS && !o->mem.disp.value && o->mem.base == ZYDIS_REGISTER_NONE)
        return (struct value){VALUE_STACK, 0};
    v = address_of(p, i, o);
    uint64_t content = 0;
    if (v.is != VALUE_KNOWN || o->size > 64 ||
        !k->code.view->read(k->code.view->context, v.value, &content, o->size / 8))
        return (struct value){0};
    return (struct value){VALUE_KNOWN, content};
}

static void stores(struct reach *k, struct value at, unsigned bits) {
    if (at.is == VALUE_STACK) return;
    if (at.is == VALUE_ANY || !bits)
        note(k, HANDLER_UNKNOWN);
    else if (at.value < k->lock + LOCK_SIZE && at.value + bits / 8 > k->lock)
        note(k, HANDLER_RELEASES);
}

// What an instruction that is no branch leaves in the first register that it writes.
static struct value result_of(struct reach *k, const struct place *p, const struct instruction *i) {
    const ZydisDecodedOperand *o = i->operands;
    struct value v = {0};
    bool whole = o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].size >= 32;
    if (!whole || i->in.operand_count_visible < 2) return v;
    switch (i->in.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
        v = read_operand(k, p, i, &o[1]);
        break;
    case ZYDIS_MNEMONIC_LEA:
        v = address_of(p, i, &o[1]);
        break;
    case ZYDIS_MNEMONIC_XOR:
        if (o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].reg.value == o[1].reg.value)
            v = (struct value){VALUE_KNOWN, 0};
        break;
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB: {
        struct value by = read_operand(k, p, i, &o[1]);
        v = of_register(p, o[0].reg.value);
        if (v.is == VALUE_STACK) break;
        if (by.is != VALUE_KNOWN || v.is != VALUE_KNOWN) return (struct value){0};
        v.value += i->in.mnemonic == ZYDIS_MNEMONIC_ADD ? by.value : -by.value;
        break;
    }
    case ZYDIS_MNEMONIC_AND: // alignment of the stack pointer
        v = of_register(p, o[0].reg.value);
        if (v.is != VALUE_STACK) v = (struct value){0};
        break;
    default:
        break;
    }
    if (o[0].size == 32 && v.is == VALUE_KNOWN) v.value = (uint32_t)v.value;
    if (o[0].size == 32 && v.is == VALUE_STACK) v = (struct value){0};
    if (v.is == VALUE_BUSY && i->in.mnemonic != ZYDIS_MNEMONIC_MOV) v = (struct value){0};
    return v;
}

// `test %eax,%eax` or `cmp $0,%eax` of a try's result.
static struct value compared(const struct place *p, const struct instruction *i) {
    const ZydisDecodedOperand *o = i->operands;
    struct value none = {0};
    if (o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || o[0].size < 32) return none;
    bool test = i->in.mnemonic == ZYDIS_MNEMONIC_TEST && o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                o[1].reg.value == o[0].reg.value;
    bool cmp = i->in.mnemonic == ZYDIS_MNEMONIC_CMP && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
               !o[1].imm.value.u;
    struct value v = of_register(p, o[0].reg.value);
    return (test || cmp) && v.is == VALUE_BUSY ? v : none;
}

static void execute(struct reach *k, struct place *p, const struct instruction *i) {
    const ZydisDecodedOperand *o = i->operands;
    if (i->in.cpu_flags && i->in.cpu_flags->modified) p->regs[FLAGS] = compared(p, i);
    struct value first = result_of(k, p, i);
    bool repeats = i->in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    for (unsigned n = 0; n < i->in.operand_count; n++) {
        if (!(o[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) || o[n].type != ZYDIS_OPERAND_TYPE_MEMORY ||
            o[n].mem.type != ZYDIS_MEMOP_TYPE_MEM)
            continue;
        stores(k, address_of(p, i, &o[n]), repeats ? 0 : o[n].size);
    }
    for (unsigned n = 0; n < i->in.operand_count; n++) {
        if (!(o[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) || o[n].type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        int reg = number_of(o[n].reg.value);
        if (reg < 0 || (reg == RSP && n)) continue; // push, pop, call, ret
        p->regs[reg] = n ? (struct value){0} : first;
    }
}

// ---- ways

static bool same(struct value a, struct value b) {
    return a.is == b.is && (a.is != VALUE_KNOWN || a.value == b.value);
}

static void go_to(struct reach *k, uint64_t pc, const struct value *regs) {
    size_t slot = (pc * 0x9e3779b97f4a7c15ull >> 40) % (PLACES * 2);
    while (k->slots[slot] && k->places[k->slots[slot] - 1].pc != pc)
        slot = (slot + 1) % (PLACES * 2);
    bool changed = !k->slots[slot];
    if (changed) {
        if (k->count == PLACES) {
            note(k, HANDLER_UNKNOWN);
            return;
        }
        struct place *p = &k->places[k->count++];
        p->pc = pc;
        p->pending = false;
        memcpy(p->regs, regs, sizeof p->regs);
        k->slots[slot] = k->count;
    }
    struct place *p = &k->places[k->slots[slot] - 1];
    for (int n = 0; n < REGISTERS; n++) {
        if (p->regs[n].is == VALUE_ANY || same(p->regs[n], regs[n])) continue;
        p->regs[n] = (struct value){0};
        changed = true;
    }
    if (!changed || p->pending) return;
    if (k->pending_count == PENDING) {
        note(k, HANDLER_UNKNOWN);
        return;
    }
    p->pending = true;
    k->pending[k->pending_count++] = k->slots[slot] - 1;
}

// ---- calls

// By what a function of the C library could end a wait or set somebody free; all else that it does is its own affair.
static enum handler_reach of_argument(const struct reach *k, struct value lock) {
    if (lock.is == VALUE_STACK) return HANDLER_CANNOT;
    if (lock.is != VALUE_KNOWN) return HANDLER_UNKNOWN;
    return lock.value >= k->lock && lock.value < k->lock + LOCK_SIZE ? HANDLER_RELEASES : HANDLER_CANNOT;
}

static bool begins(const char *name, const char *with) {
    return !strncmp(name, with, strlen(with));
}

static enum handler_reach of_libc(const struct reach *k, const char *name, const struct value *regs) {
    static const char *const leaves[] = {
        "longjmp",       "libc_longjmp",       "libc_siglongjmp", "siglongjmp", "longjmp_chk",
        "setcontext",    "swapcontext",        "pthread_exit",    "thrd_exit",  "Unwind_RaiseException",
        "Unwind_Resume", "Unwind_ForcedUnwind"};
    static const char *const calls_back[] = {
        "qsort",       "qsort_r", "bsearch",        "pthread_once", "call_once",   "pthread_create",
        "thrd_create", "nftw",    "pthread_cancel", "tgkill",       "pthread_kill"};
    static const char *const on_objects[] = {"pthread_mutex_init",
                                             "pthread_mutex_destroy",
                                             "pthread_cond_signal",
                                             "pthread_cond_broadcast",
                                             "cnd_signal",
                                             "cnd_broadcast",
                                             "pthread_rwlock_init",
                                             "sem_init",
                                             "pthread_spin_init",
                                             "mtx_init",
                                             "pthread_rwlock_destroy",
                                             "pthread_mutex_consistent"};
    enum { FUTEX = 202 };
    if (!*name) return HANDLER_UNKNOWN;
    if (CODE_ONE_OF(name, leaves)) return HANDLER_RELEASES;
    if (CODE_ONE_OF(name, calls_back)) return HANDLER_UNKNOWN;
    // mem*, str* write where the first argument points to.
    if (code_gives_lock(name) || CODE_ONE_OF(name, on_objects) || begins(name, "memset") ||
        begins(name, "memcpy") || begins(name, "memmove") || begins(name, "str"))
        return of_argument(k, regs[RDI]);
    if (begins(name, "pthread_cond_") || begins(name, "cnd_")) return of_argument(k, regs[RSI]);
    if (!strcmp(name, "syscall"))
        return regs[RDI].is == VALUE_KNOWN && regs[RDI].value != FUTEX ? HANDLER_CANNOT : HANDLER_UNKNOWN;
    return HANDLER_CANNOT;
}

// Does it wait for the very lock, which is held?
static bool waits(const struct reach *k, const char *name, struct value lock) {
    return code_takes_lock(name) && !strstr(name, "try") && !strstr(name, "cond") && !begins(name, "cnd_") &&
           !strstr(name, "timed") && !strstr(name, "clock") && lock.is == VALUE_KNOWN &&
           lock.value == k->lock;
}

// Does it try to take the very lock? One that is held says that it is: by a number that is not 0. (A recursive one says so to others
// than its owner.)
static bool tries(const struct reach *k, const char *name, struct value lock) {
    enum { KIND = 16, TYPE = 3, RECURSIVE = 1 };
    static const char *const others[] = {"pthread_spin_trylock", "sem_trywait", "new_sem_trywait"};
    const struct view *v = k->code.view;
    uint32_t kind = RECURSIVE;
    if (lock.is != VALUE_KNOWN || lock.value != k->lock) return false;
    if (CODE_ONE_OF(name, others)) return true;
    return !strcmp(name, "pthread_mutex_trylock") &&
           v->read(v->context, lock.value + KIND, &kind, sizeof kind) && (kind & TYPE) != RECURSIVE;
}

// False: it does not come back.
static bool call(struct reach *k, uint64_t target, struct value *regs) {
    struct frame f;
    struct instruction first;
    target = target ? code_past_plt(&k->code, target) : 0;
    if (!target || !code_instruction(&k->code, target, &first)) {
        note(k, HANDLER_UNKNOWN);
        return false;
    }
    symbols_pc(k->code.symbols, k->code.view, target, &f);
    const char *name = f.function ? stack_plain_name(f.function) : "";
    bool libc = stack_is_libc(&f) || stack_is_system(&f);
    if (libc || code_gives_lock(name))
        note(k, of_libc(k, name, regs));
    else
        go_to(k, target, regs);
    if (code_never_returns(name) || waits(k, name, regs[RDI])) return false;
    bool busy = libc && tries(k, name, regs[RDI]);
    static const int lost[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11};
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        regs[lost[i]] = (struct value){0};
    regs[FLAGS] = (struct value){0};
    if (busy) regs[RAX].is = VALUE_BUSY;
    if (libc && !strcmp(name, "errno_location")) regs[RAX].is = VALUE_STACK;
    return true;
}

// One instruction, and where it leads.
static void visit(struct reach *k, struct place p) {
    struct instruction i;
    if (!code_instruction(&k->code, p.pc, &i)) {
        note(k, HANDLER_UNKNOWN);
        return;
    }
    uint64_t next = p.pc + i.in.length;
    switch (i.in.meta.category) {
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_INTERRUPT:
        return;
    case ZYDIS_CATEGORY_SYSCALL:
        note(k, HANDLER_UNKNOWN);
        return;
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_COND_BR:
        break;
    default:
        if (i.in.mnemonic == ZYDIS_MNEMONIC_UD2 || i.in.mnemonic == ZYDIS_MNEMONIC_HLT) return;
        execute(k, &p, &i);
        go_to(k, next, p.regs);
        return;
    }
    uint64_t target = code_target(&k->code, p.pc, &i);
    if (!target) {
        struct value v = read_operand(k, &p, &i, &i.operands[0]);
        if (v.is == VALUE_KNOWN && v.value) target = v.value;
        // A pointer to nothing is not called.
        if (v.is == VALUE_KNOWN && !v.value) return;
    }
    bool direct = i.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    if (i.in.meta.category == ZYDIS_CATEGORY_COND_BR) {
        // (Of a try's result it is known which way.)
        bool busy = p.regs[FLAGS].is == VALUE_BUSY;
        if (!busy || i.in.mnemonic != ZYDIS_MNEMONIC_JZ) go_to(k, target, p.regs);
        if (!busy || i.in.mnemonic != ZYDIS_MNEMONIC_JNZ) go_to(k, next, p.regs);
    } else if (i.in.meta.category == ZYDIS_CATEGORY_CALL) {
        if (call(k, target, p.regs)) go_to(k, next, p.regs);
    } else if (direct && code_past_plt(&k->code, target) == target) {
        go_to(k, target, p.regs);
    } else { // the last call of a function, as a jump; or of a switch
        call(k, target, p.regs);
    }
}

static enum handler_reach walk(const struct code *code, uint64_t lock, int signal, uint64_t entry) {
    struct reach *k = calloc(1, sizeof *k);
    rf_assert(k);
    k->places = calloc(PLACES, sizeof *k->places);
    rf_assert(k->places);
    k->code = *code;
    k->lock = lock;
    struct value regs[REGISTERS] = {[RSP] = {VALUE_STACK, 0},
                                    [RSI] = {VALUE_STACK, 0},
                                    [RDX] = {VALUE_STACK, 0},
                                    [RDI] = {VALUE_KNOWN, (uint64_t)signal}};
    go_to(k, entry, regs);
    while (k->pending_count && k->found < HANDLER_RELEASES) {
        struct place *p = &k->places[k->pending[--k->pending_count]];
        p->pending = false;
        if (++k->visits > VISITS) {
            note(k, HANDLER_UNKNOWN);
            break;
        }
        visit(k, *p);
    }
    enum handler_reach found = k->found;
    free(k->places);
    free(k);
    return found;
}

// ---- the process

struct handler {
    const struct action *action; // the last one for the signal
    unsigned times;              // that one was set, since the program began
};

// From the last action backwards: of the process, then of the one that forked it, as long as it was the same program.
static void collect(const struct history *h, size_t life, uint64_t until, struct handler all[SIGNALS]) {
    int pid = h->lives[life].pid;
    size_t space = h->lives[life].space;
    for (size_t i = h->action_count; i-- > 0;) {
        const struct action *c = &h->actions[i];
        if (c->event > until) continue;
        while (space != NONE && c->event < h->spaces[space].begin && h->spaces[space].parent != NONE) {
            space = h->spaces[space].parent;
            pid = h->spaces[space].pid;
        }
        if (space == NONE || c->event < h->spaces[space].begin) return;
        if (c->pid != pid || c->signal <= 0 || c->signal >= SIGNALS) continue;
        if (!all[c->signal].action) all[c->signal].action = c;
        all[c->signal].times++;
    }
}

// glibc's own two are sent by threads of the process only; the rest of these comes from what the code does itself.
bool handlers_come_from_outside(int signal) {
    static const bool own[SIGNALS] = {
        [SIGSEGV] = true, [SIGBUS] = true, [SIGFPE] = true, [SIGILL] = true, [SIGTRAP] = true,
        [SIGABRT] = true, [SIGSYS] = true, [32] = true,     [33] = true};
    return !own[signal];
}

// CPython's handler notes the signal, and what was set for it in Python runs later, in the main thread, of which nothing is
// known here. It sets its own handler for SIGINT once, when it starts: that raises KeyboardInterrupt, by which the
// process ends as it does by a signal without a handler.
static bool is_cpython(const struct code *c, uint64_t handler) {
    uint64_t bias, at = symbols_address(c->symbols, c->view, NULL, "PyErr_SetInterrupt"), other;
    if (!at) return false;
    const struct symbol_module *m = symbols_module_at(c->symbols, c->view, at, &bias);
    return m && m == symbols_module_at(c->symbols, c->view, handler, &other);
}

// Does a wait for it go on behind a handler? sem_wait and the program's own futex calls return EINTR.
static bool goes_on(const struct lock_ref *ref) {
    switch (ref->kind) {
    case KIND_FUTEX:
    case KIND_SEM:
    case KIND_PYTHON_LOCK:
    case KIND_LOCK_WORD:
    case KIND_POLLED:
        return false;
    default:
        return true;
    }
}

enum handler_reach handlers_walk(const struct code *c, const struct lock_ref *lock, int signal, bool first,
                                 uint64_t entry) {
    if (is_cpython(c, entry)) return signal == SIGINT && first ? HANDLER_CANNOT : HANDLER_UNKNOWN;
    enum handler_reach reach = walk(c, lock->base, signal, entry);
    return reach == HANDLER_CANNOT && !goes_on(lock) ? HANDLER_UNKNOWN : reach;
}

// Where an action's handler is: in the caller's memory.
static uint64_t entry_of(struct analysis *a, const struct action *c) {
    struct view view;
    struct rf_error ignored;
    uint64_t entry = 0;
    if (timeline_seek(a->timeline, c->event, &ignored) < 0 ||
        replay_view(timeline_replay(a->timeline), c->tid, &view, &ignored) < 0 ||
        !view.read(view.context, c->act, &entry, sizeof entry))
        return UINT64_MAX;
    return entry;
}

int handlers_reach(struct analysis *a, const struct waiter *w, enum handler_reach *out,
                   struct rf_error *err) {
    struct handler all[SIGNALS] = {0};
    uint64_t entries[SIGNALS] = {0};
    bool any = false;
    *out = HANDLER_CANNOT;
    collect(&a->history, w->life, w->stuck->event, all);
    for (int s = 1; s < SIGNALS; s++) {
        if (!all[s].action || !handlers_come_from_outside(s)) continue;
        entries[s] = entry_of(a, all[s].action);
        any |= entries[s] > (uint64_t)(uintptr_t)SIG_IGN;
    }
    if (!any) return 0;
    struct view view;
    struct code code;
    if (timeline_seek(a->timeline, w->stuck->event, err) < 0 ||
        replay_view(timeline_replay(a->timeline), a->history.lives[w->life].tid, &view, err) < 0)
        return -1;
    code_begin(&code, timeline_symbols(a->timeline), &view);
    for (int s = 1; s < SIGNALS; s++) {
        if (entries[s] <= (uint64_t)(uintptr_t)SIG_IGN) continue;
        enum handler_reach reach = entries[s] == UINT64_MAX
                                       ? HANDLER_UNKNOWN
                                       : handlers_walk(&code, &w->ref, s, all[s].times == 1, entries[s]);
        if (reach > *out) *out = reach;
    }
    return 0;
}

// A child that crashed in data that a vanished thread was changing at the fork without any lock. Said only when all of
// this is seen: the crash went through a pointer that the child had read, in its last instructions, from a place in
// memory; the pointer was there at the fork already, and led nowhere in the parent either; the vanished thread had put it
// there shortly before; it was still in the function that did it; and after the fork, in the parent, it put something else
// there. A thread that keeps bad pointers for ever, a pointer that went bad in the child, a crash of the child's own:
// silent.
#include "replayer/verdict/crash_data.h"

#include "core/abi.h"
#include "core/code_operands.h"
#include "core/tracee.h"
#include "replayer/stepping.h"
#include "replayer/verdict/advice.h"
#include "replayer/verdict/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    LOADS_MAX = 256,
    EVENTS_MAX = 1000, // that are looked through for the child's last landmark
    NEAR = 4096,       // bytes from the pointer to what is addressed through it
    BEFORE = 256,      // events before the fork: shortly before
    AFTER = 2000,      // and behind it
    DESCRIPTOR = 4096, // bytes at the thread pointer that are the thread's own
};

struct load {
    uint64_t address, value;
};

struct last_steps {
    struct load loads[LOADS_MAX]; // a ring
    size_t count;
    struct user_regs_struct regs; // before the last instruction
    uint8_t code[16];
    size_t code_len;
};

static void note(void *context, struct replay *r, const struct break_hit *hit) {
    struct last_steps *l = context;
    struct code_step step;
    struct view view;
    struct rf_error ignored;
    l->regs = *hit->regs;
    l->code_len = hit->code_len;
    memcpy(l->code, hit->code, sizeof l->code);
    if (replay_view(r, hit->tid, &view, &ignored) < 0) return;
    const struct code_memory memory = {view.read, view.context};
    if (!code_step(hit->code, hit->code_len, hit->regs, NULL, &memory, &step)) return;
    const struct view_map *stack = view_find(&view, hit->regs->rsp);
    for (int i = 0; i < step.operand_count; i++) {
        const struct memory_operand *o = &step.operands[i];
        struct load load = {.address = o->address};
        const struct view_map *map = view_find(&view, o->address);
        bool own = map == stack || o->address - hit->regs->fs_base < DESCRIPTOR;
        if (step.hidden >> i & 1 || o->written || o->size != sizeof load.value || o->address % 8 || !map ||
            own || !(map->prot & PROT_WRITE) ||
            !view.read(view.context, o->address, &load.value, sizeof load.value))
            continue;
        l->loads[l->count++ % LOADS_MAX] = load;
    }
}

// Where the instruction that crashed wanted to read or write; 0: its operands do not say it.
static uint64_t bad_address(const struct last_steps *l, const struct view *v) {
    struct memory_operand operands[4];
    uint8_t byte;
    int n = code_memory_operands(l->code, l->code_len, &l->regs, operands);
    for (int i = 0; i < n; i++)
        if (!v->read(v->context, operands[i].address, &byte, 1)) return operands[i].address;
    return 0;
}

// The latest load of a value that is in a register now and leads to `bad`. NULL: none; and of a null pointer only what
// was loaded last, for a zero is in many places.
static const struct load *source_of(const struct last_steps *l, uint64_t bad) {
    uint64_t gpr[ABI_REGISTERS];
    abi_registers(&l->regs, gpr);
    for (size_t k = 0; k < l->count && k < LOADS_MAX; k++) {
        const struct load *load = &l->loads[(l->count - 1 - k) % LOADS_MAX];
        uint64_t away = bad - load->value + NEAR;
        if (away >= 2 * NEAR || (!load->value && k)) continue;
        for (size_t i = 0; i < ABI_REGISTERS; i++)
            if (gpr[i] == load->value) return load;
    }
    return NULL;
}

struct changes {
    struct word_change before, after; // the last one of all, the first one of `tid`
    bool any, again;
    uint64_t fork;
    int tid;
};

static bool on_change(void *context, const struct word_change *c) {
    struct changes *s = context;
    if (c->event <= s->fork) {
        s->before = *c;
        s->any = true;
        s->tid = c->tid;
        return true;
    }
    s->after = *c;
    s->again = c->tid == s->tid && !c->by_kernel;
    return false;
}

// Is the function that wrote, in this very call, still on the thread's stack? Then all that called it are the same.
static bool still_inside(const struct stack *write, const struct stack *now) {
    size_t own = 0;
    while (own < write->count && write->frames[own].inlined)
        own++;
    size_t outer = write->count - own; // frames from the function itself outwards
    if (own == write->count || !write->frames[own].function || outer > now->count) return false;
    const struct frame *was = &write->frames[own], *is = &now->frames[now->count - outer];
    if (!is->function || !was->module || !is->module || strcmp(was->function, is->function) != 0 ||
        strcmp(was->module, is->module) != 0)
        return false;
    for (size_t i = 1; i < outer; i++)
        if (write->frames[own + i].pc != now->frames[now->count - outer + i].pc) return false;
    return true;
}

static bool reads(struct timeline *t, int tid, uint64_t address, void *out, size_t len) {
    struct view view;
    struct rf_error ignored;
    return replay_view(timeline_replay(t), tid, &view, &ignored) == 0 &&
           view.read(view.context, address, out, len);
}

// The finding, when the change was made by one of those that vanished, and all the rest holds.
static int judge(struct torn *t, const struct load *from, const struct changes *c, struct rf_error *err) {
    struct analysis *a = t->a;
    const struct history *h = &a->history;
    size_t parent = h->spaces[t->space].parent, life = history_life(h, c->tid, t->fork);
    const struct lock_ref ref = {
        .kind = KIND_DATA, .base = from->address, .word = from->address, .size = sizeof from->value};
    struct holder who = holder_of_change(&c->before, parent);
    struct finding f = {
        .kind = FINDING_TORN_DATA, .confidence = CONFIDENCE_LIKELY, .signal = t->crash->signal};
    struct finding_point at_fork;
    if (life == NONE || h->lives[life].space != parent || c->tid == h->spaces[t->space].forker) return 0;
    const struct watched_lock lock = case_lock_in(a, parent, &ref);
    who.life = life;
    if (holder_stack(&lock, &who, &f.acquired.stack, NULL, err) < 0) return -1;
    if (timeline_seek(a->timeline, t->fork, err) < 0) {
        free(f.acquired.stack.frames);
        return -1;
    }
    case_point(a, c->tid, &at_fork);
    bool inside = still_inside(&f.acquired.stack, &at_fork.stack);
    free(at_fork.stack.frames);
    if (!inside) {
        free(f.acquired.stack.frames);
        return 0;
    }
    f.acquired.event = c->before.event;
    f.acquired.tid = c->tid;
    f.acquired.pid = h->lives[life].pid;
    text_lock(a->timeline, h, h->spaces[t->space].forker, &ref, &f.lock);
    case_task(a, life, &f.acquired.stack, &f.holder);
    f.holder.vanished = true;
    case_point(a, h->spaces[t->space].forker, &f.fork);
    f.waiting = t->place;
    f.waiting.stack = stack_copy(&t->place.stack);
    case_task(a, t->crash->life, &t->place.stack, &f.waiter);
    text_reason_torn_data(&f, c->after.event);
    advice_give(&f, ADVICE_TORN_DATA, &ref, 0);
    case_append(a, &f);
    return 1;
}

int crash_data_look(struct torn *t, struct rf_error *err) {
    struct analysis *a = t->a;
    const struct history *h = &a->history;
    int tid = h->lives[t->crash->life].tid;
    struct event e;
    struct view view;
    struct rf_error why;
    struct last_steps steps = {.count = 0};
    uint64_t from = stepping_landmark(a->timeline, tid, t->crash->event, EVENTS_MAX, &e);
    if (!from || timeline_event(a->timeline, t->crash->event, &e, err) < 0) return from ? -1 : 0;
    if (e.kind != EV_SIGNAL) return 0;
    int all = stepping_run(a->timeline, tid, (struct event_span){from, t->crash->event}, note, &steps, &why);
    if (all < 0) {
        if (why.status == RF_DIVERGED) return 0; // it reads its own code: nothing is said
        *err = why;
        return -1;
    }
    if (!all || timeline_seek(a->timeline, t->crash->event, err) < 0) return all ? -1 : 0;
    if (replay_view(timeline_replay(a->timeline), tid, &view, &why) < 0) return 0;
    uint64_t bad = bad_address(&steps, &view);
    const struct load *source = bad || steps.count ? source_of(&steps, bad) : NULL;
    if (!source) return 0;
    // As it was at the fork, in the child's memory and in the parent's.
    uint64_t then = 0;
    uint8_t byte;
    int forker = h->spaces[t->space].forker;
    if (timeline_seek(a->timeline, t->fork, err) < 0) return -1;
    if (!reads(a->timeline, tid, source->address, &then, sizeof then) || then != source->value ||
        reads(a->timeline, forker, bad, &byte, 1))
        return 0;
    struct changes c = {.fork = t->fork};
    size_t parent = h->spaces[t->space].parent;
    uint64_t begin = h->spaces[parent].begin > 1 ? h->spaces[parent].begin : 1,
             first = t->fork > begin + BEFORE ? t->fork - BEFORE : begin;
    uint64_t last =
        t->fork + AFTER < timeline_last(a->timeline) ? t->fork + AFTER : timeline_last(a->timeline);
    const struct lock_ref ref = lock_plain_word(source->address);
    const struct watched_lock word = case_lock_in(a, parent, &ref);
    if (holder_changes(&word, (struct event_span){first, last}, on_change, &c, err) < 0) return -1;
    return c.any && c.again && !c.before.by_kernel ? judge(t, source, &c, err) : 0;
}

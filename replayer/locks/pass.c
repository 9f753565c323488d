#include "replayer/locks/pass.h"

#include "replayer/locks/name.h"
#include "core/abi.h"
#include "core/array.h"
#include "core/elf/elf_module.h"
#include "core/code_operands.h"
#include "core/futex.h"
#include "core/path.h"
#include "core/probe.h"
#include "replayer/engine/break_hits.h"
#include "replayer/engine/probes.h"
#include "replayer/locks/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum {
    SPIN_LIMIT = 4096, // equal accesses in a row, then the rest of the slice is not looked at
    ASK_EVERY = 2048,  // hits: whether the user wants to stop in the middle of a slice
    SLOW_EVERY = 64,   // events: how often a word is looked at that has not yet behaved like a lock
    FIELDS = 16,       // of a rwlock behind its word
    DESCRIPTOR = 2304, // bytes of glibc's struct pthread at the thread pointer: flags that look like locks
};
#define RETURN_TAG (1ull << 63)

struct pass_site {
    uint32_t place; // index + 1
    struct lock_note note;
    // the word that it worked on last, and what is known of it as long as no event and no new word comes between
    uint64_t event, address;
    uint32_t space, lock; // lock: index + 1; 0: none
    size_t words;
};

struct pass_module {
    uint64_t blob;
    struct lock_module m;
    struct pass_site *sites; // of each of the module's
};

struct call {
    int tid;
    uint32_t space;
    uint64_t rsp, lock; // rsp: behind the return
    uint16_t function;
};

struct waiter {
    int tid;
    uint32_t lock;
    uint64_t event, time_us;
};

struct lock_pass {
    struct timeline *timeline;
    struct lock_history *history;
    const struct lock_functions *functions;
    bool cache, touches, stops;
    lock_pass_observer observer;
    void (*paused)(void *context, struct replay *r, const struct break_hit *hit);
    void *observer_context;
    struct pass_module *modules;
    size_t module_count;
    uint32_t *space_ids; // of history->spaces
    size_t string_room;
    struct call *calls;
    size_t call_count;
    struct waiter *waiters;
    size_t waiter_count;
    struct {
        int tid;
        uint32_t space;
    } * tasks; // the space in which each was last
    size_t task_count;
    size_t recent[1024]; // by TID: the index of a task to look at first
    uint32_t recent_id, recent_index;
    uint64_t now_us, hits;
    uint64_t *muted; // sites, until the end of the slice of muted_event
    size_t muted_count;
    uint64_t muted_event, index; // index: of the next note in that slice
    struct {
        uint64_t event, rip, address, value;
        int tid;
        unsigned count;
    } spin;
};

struct lock_pass *lock_pass_new(struct timeline *t, struct lock_history *h,
                                const struct lock_functions *functions, bool cache) {
    struct lock_pass *p = calloc(1, sizeof *p);
    rf_assert(p);
    p->timeline = t;
    p->history = h;
    p->functions = functions;
    p->cache = cache;
    return p;
}

void lock_pass_free(struct lock_pass *p) {
    for (size_t i = 0; i < p->module_count; i++) {
        lock_module_release(&p->modules[i].m);
        free(p->modules[i].sites);
    }
    free(p->modules);
    free(p->space_ids);
    free(p->muted);
    free(p->calls);
    free(p->waiters);
    free(p->tasks);
    free(p);
}

void lock_pass_observe(struct lock_pass *p, lock_pass_observer observer,
                       void (*paused)(void *context, struct replay *r, const struct break_hit *hit),
                       void *context) {
    p->observer = observer;
    p->paused = paused;
    p->observer_context = context;
}

void lock_pass_stops(struct lock_pass *p) {
    p->stops = true;
}

void lock_pass_touches(struct lock_pass *p) {
    p->touches = true;
}

// ---- names

static int32_t add_string(struct lock_pass *p, const char *text) {
    struct lock_history *h = p->history;
    if (!text) return -1;
    size_t len = strlen(text) + 1;
    if (h->strings_len + len > 1u << 30) return -1;
    while (h->strings_len + len > p->string_room) {
        p->string_room = p->string_room ? p->string_room * 2 : 4096;
        h->strings = realloc(h->strings, p->string_room);
        rf_assert(h->strings);
    }
    memcpy(h->strings + h->strings_len, text, len);
    h->strings_len += len;
    return (int32_t)(h->strings_len - len);
}

// As the verdict names it: "queue+16", "config.mutex_ (Config::mutex_)"; a place in a module's data when no symbol covers it.
static int32_t name_data(struct lock_pass *p, struct replay *r, int tid, uint64_t address) {
    struct view view;
    struct rf_error err;
    struct finding_lock named;
    if (replay_view(r, tid, &view, &err) < 0) return -1;
    const struct view_map *map = view_find(&view, address);
    if (!map || map->name[0] == '[') return -1;
    timeline_foreign(p->timeline, true);
    lock_name(timeline_symbols(p->timeline), &view, "", address, false, &named);
    timeline_foreign(p->timeline, false);
    if (!named.symbol[0] || (named.unnamed && named.of_this_run)) return -1;
    return add_string(p, named.symbol);
}

// A task at a site.
struct visit {
    struct break_hit *hit;
    struct pass_module *module;
    size_t site;
};

static const struct lock_module_site *site_of(const struct visit *v) {
    return &v->module->m.sites[v->site];
}

static uint32_t place_of(struct lock_pass *p, struct replay *r, const struct visit *v) {
    struct lock_history *h = p->history;
    uint32_t *known = &v->module->sites[v->site].place;
    if (*known) return *known - 1;
    struct lock_place place = {
        .blob = v->module->blob, .vaddr = site_of(v)->vaddr, .function = -1, .module = -1};
    struct view view;
    struct rf_error err;
    if (replay_view(r, v->hit->tid, &view, &err) == 0) {
        // The function itself, not what the compiler put into it.
        enum { INLINED = 16 };
        struct frame frames[INLINED];
        const struct raw_frame raw = {.pc = v->hit->address, .exact = true};
        timeline_foreign(p->timeline, true);
        size_t n = symbols_frames(timeline_symbols(p->timeline), &view, &raw, 1, frames, INLINED);
        timeline_foreign(p->timeline, false);
        place.function = n ? add_string(p, frames[n - 1].function) : -1;
        place.module = n ? add_string(p, frames[n - 1].module) : -1;
    }
    array_push(h->places, h->place_count, place);
    *known = (uint32_t)h->place_count;
    return *known - 1;
}

// ---- spaces

static uint32_t add_space(struct lock_pass *p, uint32_t id, struct lock_space s) {
    struct lock_history *h = p->history;
    size_t ids = h->space_count;
    array_push(p->space_ids, ids, id);
    array_push(h->spaces, h->space_count, s);
    return (uint32_t)h->space_count - 1;
}

static uint32_t space_index(struct lock_pass *p, uint32_t id, int pid, uint64_t event) {
    if (id == p->recent_id) return p->recent_index;
    p->recent_id = id;
    for (size_t i = p->history->space_count; i-- > 0;)
        if (p->space_ids[i] == id) return p->recent_index = (uint32_t)i;
    return p->recent_index =
               add_space(p, id, (struct lock_space){.pid = pid, .begin = event, .parent = LOCK_SHARED});
}

static uint32_t space_id(const struct lock_pass *p, uint32_t index) {
    return p->space_ids[index];
}

// The space that `tid` was in before this event; LOCK_SHARED: none known.
static uint32_t *last_space(struct lock_pass *p, int tid) {
    size_t *recent = &p->recent[(unsigned)tid % (sizeof p->recent / sizeof *p->recent)];
    if (*recent < p->task_count && p->tasks[*recent].tid == tid) return &p->tasks[*recent].space;
    for (size_t i = p->task_count; i-- > 0;)
        if (p->tasks[i].tid == tid) return &p->tasks[*recent = i].space;
    *recent = p->task_count;
    array_add(p->tasks, p->task_count)->tid = tid;
    p->tasks[*recent].space = LOCK_SHARED;
    return &p->tasks[*recent].space;
}

// ---- mappings

static struct pass_module *module_of(struct lock_pass *p, struct replay *r,
                                     const struct break_mapping *mapping) {
    for (size_t i = 0; i < p->module_count; i++)
        if (p->modules[i].blob == mapping->map.blob) return &p->modules[i];
    struct pass_module *m = array_add(p->modules, p->module_count);
    m->blob = mapping->map.blob;
    lock_module_read(p->timeline, r, mapping, p->functions, p->cache, &m->m);
    m->sites = calloc(m->m.count + 1, sizeof *m->sites);
    rf_assert(m->sites);
    for (size_t i = 0; i < m->m.count; i++)
        m->sites[i].note = lock_note_of(&m->m, i);
    return m;
}

static void mapped(void *context, struct replay *r, const struct break_mapping *mapping) {
    struct lock_pass *p = context;
    if (!mapping->map.blob) return;
    struct pass_module *m = module_of(p, r, mapping);
    uint64_t bias;
    if (!m->m.elf || !elf_module_bias(m->m.elf, mapping->map.offset, mapping->map.start, &bias)) return;
    uint64_t tag = (uint64_t)(m - p->modules) << 32;
    for (size_t i = 0; i < m->m.count; i++) {
        uint64_t at = m->m.sites[i].vaddr + bias;
        if (at < mapping->map.start || at >= mapping->map.end) continue;
        p->history->sites++;
        if (!replay_probe_add(r, mapping->space, at, m->m.sites[i].length, tag | i,
                              p->stops ? NULL : &m->sites[i].note.probe))
            p->history->uncovered++;
    }
}

// ---- accesses

static struct word_place locate(struct replay *r, uint32_t space, uint32_t id, uint64_t address) {
    struct word_place m = {space, 0, address};
    uint64_t identity, offset;
    if (replay_space_shared(r, id, address, &identity, &offset))
        m = (struct word_place){LOCK_SHARED, identity, offset};
    return m;
}

static struct lock *find_lock(const struct lock_pass *p, const struct word_place *m, uint64_t back) {
    return lock_words_find(&p->history->words, (struct word_place){m->space, m->identity, m->address - back});
}

// In a function of that family an atomic instruction may work on another field of the object than its word.
static bool is_field(const struct lock_pass *p, const struct word_place *m, int family, int size) {
    if (family == LOCK_NONE) return true;
    if (family == LOCK_WORD) return false;
    if (family == LOCK_SEMAPHORE ? size != 8 : size != 4) return true;
    // {word, count of waiters, ...}, aligned as its pointers are
    if (family == LOCK_MUSL_RWLOCK && m->address % 8) return true;
    for (uint64_t back = 4; back < FIELDS; back += 4) {
        const struct lock *l = find_lock(p, m, back);
        if (l && l->family == family && lock_is_rwlock(family)) return true;
    }
    return false;
}

static bool is_a_register(const struct user_regs_struct *u, uint64_t address) {
    const uint64_t g[] = {u->rax, u->rbx, u->rcx, u->rdx, u->rsi, u->rdi, u->rbp, u->r8,
                          u->r9,  u->r10, u->r11, u->r12, u->r13, u->r14, u->r15};
    for (size_t i = 0; i < sizeof g / sizeof *g; i++)
        if (g[i] == address) return true;
    return false;
}

static void access_word(struct lock_pass *p, struct replay *r, const struct visit *v, uint64_t address,
                        int size, struct lock_access *a) {
    struct lock_history *h = p->history;
    const struct break_hit *hit = v->hit;
    int family = site_of(v)->family;
    struct pass_site *last = &v->module->sites[v->site];
    uint32_t space = space_index(p, hit->space, hit->pid, hit->next_event);
    bool same = last->address == address && last->event == hit->next_event && last->space == space &&
                last->words == h->words.count;
    if (same && !last->lock && family == LOCK_WORD && !lock_may_begin(a)) return;
    const struct word_place at =
        same && last->lock ? (struct word_place){.space = space} : locate(r, space, hit->space, address);
    struct lock *l = same && last->lock ? &h->words.locks[last->lock - 1] : find_lock(p, &at, 0);
    last->address = address;
    last->event = hit->next_event;
    last->space = space;
    last->lock = l ? (uint32_t)(l - h->words.locks) + 1 : 0;
    last->words = h->words.count;
    if (!l) {
        if (family == LOCK_WORD ? !lock_may_begin(a) : is_field(p, &at, family, size)) return;
        if (family == LOCK_WORD && address - a->fs_base < DESCRIPTOR) return;
        // An object begins where a register points; musl's mutex has its word 4 bytes behind.
        bool begins = is_a_register(hit->regs, address) ||
                      (family == LOCK_MUTEX && is_a_register(hit->regs, address - 4));
        if (family != LOCK_WORD && !begins) return;
        l = lock_words_add(&h->words, at, family, size, a->before);
        if (!l) return;
        l->name = at.space == LOCK_SHARED ? -1 : name_data(p, r, hit->tid, address);
    } else if (l->family == LOCK_WORD && family < LOCK_NONE) {
        l->family = (uint8_t)family;
    }
    a->pc = place_of(p, r, v);
    l->last_space = space;
    l->last_address = address;
    lock_accessed(&h->words, l, a);
}

static void touch_word(struct lock_pass *p, struct replay *r, const struct visit *v, uint64_t address,
                       const struct lock_access *a) {
    const struct break_hit *hit = v->hit;
    if (site_of(v)->family != LOCK_WORD || address - a->fs_base < DESCRIPTOR) return;
    uint32_t space = space_index(p, hit->space, hit->pid, hit->next_event);
    const struct word_place at = locate(r, space, hit->space, address);
    if (at.space == LOCK_SHARED) return; // no fork leaves it behind
    struct lock_touch *t = lock_touches_at(&p->history->touches, space, address, place_of(p, r, v), hit->tid);
    if (!t) return;
    if (!t->first) {
        t->first = a->event;
        t->name = name_data(p, r, hit->tid, address);
    }
    t->last = a->event;
    t->changes += a->before != a->after;
}

// A loop that waits for another task: nobody else runs in this slice, so the rest of it does the same.
static bool spins(struct lock_pass *p, const struct break_hit *hit, uint64_t rip, uint64_t address,
                  uint64_t value, bool same) {
    bool again = same && p->spin.event == hit->next_event && p->spin.tid == hit->tid && p->spin.rip == rip &&
                 p->spin.address == address && p->spin.value == value;
    p->spin.count = again ? p->spin.count + 1 : 0;
    p->spin.event = hit->next_event;
    p->spin.tid = hit->tid;
    p->spin.rip = rip;
    p->spin.address = address;
    p->spin.value = value;
    return p->spin.count >= SPIN_LIMIT;
}

static void observe(struct lock_pass *p, const struct break_hit *hit, const struct user_regs_struct *before,
                    uint64_t address) {
    struct user_regs_struct regs = *before;
    regs.rip = hit->address;
    struct break_hit copy = *hit;
    copy.regs = &regs;
    p->observer(p->observer_context, p, &copy, address, 0);
}

static struct lock_access access_of(const struct lock_pass *p, const struct break_hit *hit) {
    return (struct lock_access){.event = hit->next_event,
                                .tid = hit->tid,
                                .pc = LOCK_NO_PLACE,
                                .fs_base = hit->regs->fs_base,
                                .time_us = p->now_us};
}

static enum break_action on_atomic(struct lock_pass *p, struct replay *r, const struct visit *v) {
    struct break_hit *hit = v->hit;
    struct atomic_result result;
    struct user_regs_struct before = *hit->regs;
    if (replay_break_atomic(r, hit, &result) != 0) return BREAK_EXECUTE;
    bool same = result.before.low == result.after.low;
    if (result.instruction.pair && result.instruction.size == 16) return BREAK_DONE;
    if (p->observer) {
        observe(p, hit, &before, result.address);
    } else {
        struct lock_access a = access_of(p, hit);
        a.before = result.before.low;
        a.after = result.after.low;
        a.operation = result.instruction.operation;
        a.failed = result.failed;
        a.blind = site_of(v)->blind;
        a.of_libc = v->module->m.libc;
        struct break_hit hit_before = *hit;
        hit_before.regs = &before;
        const struct visit was = {&hit_before, v->module, v->site};
        access_word(p, r, &was, result.address, result.instruction.size, &a);
        if (p->touches) touch_word(p, r, &was, result.address, &a);
    }
    if (spins(p, hit, before.rip, result.address, result.before.low, same))
        replay_break_mute(r, hit->space, hit->address);
    return BREAK_DONE;
}

// The same from notes.
static void on_note(struct lock_pass *p, struct replay *r, const struct visit *v,
                    const struct probe_entry *e) {
    const struct break_hit *hit = v->hit;
    const struct pass_site *s = &v->module->sites[v->site];
    struct lock_access a = access_of(p, hit);
    bool store = site_of(v)->kind == LOCK_SITE_STORE;
    a.before = e->before;
    a.after = store ? 1 : e->after;
    a.operation = s->note.operation;
    a.failed = e->unequal;
    if (!store) {
        a.blind = site_of(v)->blind;
        a.of_libc = v->module->m.libc;
    }
    if (p->observer) {
        struct break_hit copy = *hit;
        copy.regs = NULL;
        p->observer(p->observer_context, p, &copy, e->address, p->index - 1);
    } else {
        access_word(p, r, v, e->address, store ? 4 : s->note.probe.size, &a);
        if (p->touches && !store) touch_word(p, r, v, e->address, &a);
    }
    if (store) return;
    if (spins(p, hit, hit->address, e->address, e->before, e->before == e->after)) {
        replay_break_mute(r, hit->space, hit->address);
        array_push(p->muted, p->muted_count, hit->address);
    }
}

// Noted before the site was muted, in the same slice.
static bool is_muted(const struct lock_pass *p, uint64_t address) {
    for (size_t i = 0; i < p->muted_count; i++)
        if (p->muted[i] == address) return true;
    return false;
}

static void on_pause(void *context, struct replay *r, const struct break_hit *hit) {
    struct lock_pass *p = context;
    p->paused(p->observer_context, r, hit);
}

static enum break_action on_notes(void *context, struct replay *r, const struct break_notes *n) {
    struct lock_pass *p = context;
    struct rf_error ignored;
    timeline_worked(p->timeline, 1, n->len / sizeof(struct probe_entry));
    if (timeline_report(p->timeline, timeline_position(p->timeline) - p->history->from,
                        p->history->to - p->history->from, &ignored) < 0)
        return BREAK_STOP;
    if (p->muted_event != n->next_event) p->muted_count = p->index = 0;
    p->muted_event = n->next_event;
    struct user_regs_struct regs = {.fs_base = n->regs->fs_base};
    bool wide = false;
    struct break_hit hit = {
        .tid = n->tid, .pid = n->pid, .space = n->space, .next_event = n->next_event, .regs = &regs};
    for (size_t at = 0, size; at < n->len; at += size) {
        const struct probe_entry *e = (const struct probe_entry *)(n->bytes + at);
        if (!replay_probe_of(r, e, n->len - at, &hit.address, &hit.tag, &size)) break;
        struct pass_module *m = &p->modules[hit.tag >> 32];
        size_t site = (uint32_t)hit.tag;
        p->history->noted++;
        p->index++;
        if (p->muted_count && is_muted(p, hit.address)) continue;
        if (wide) regs = (struct user_regs_struct){.fs_base = n->regs->fs_base};
        wide = m->sites[site].note.probe.registers;
        if (wide)
            lock_note_registers(&regs, (const uint64_t *)(e + 1));
        else
            regs.rax = e->address - (uint64_t)(int64_t)m->sites[site].note.displacement;
        on_note(p, r, &(const struct visit){&hit, m, site}, e);
    }
    return BREAK_EXECUTE;
}

static enum break_action on_store(struct lock_pass *p, struct replay *r, const struct visit *v) {
    struct break_hit *hit = v->hit;
    struct memory_operand operand[4];
    uint32_t before = 0;
    int n = code_memory_operands(hit->code, hit->code_len, hit->regs, operand);
    if (n != 1 || operand[0].size != 4 || !replay_space_read(r, hit->space, operand[0].address, &before, 4))
        return BREAK_EXECUTE;
    if (p->observer) {
        observe(p, hit, hit->regs, operand[0].address);
        return BREAK_EXECUTE;
    }
    struct lock_access a = access_of(p, hit);
    a.before = before;
    a.after = 1;
    access_word(p, r, v, operand[0].address, 4, &a);
    return BREAK_EXECUTE;
}

// ---- calls of functions that the user named

enum call_outcome { CALL_TOOK, CALL_FAILED, CALL_RELEASED };

static void call_told(struct lock_pass *p, struct replay *r, const struct break_hit *hit, uint64_t address,
                      uint32_t place, enum call_outcome outcome) {
    struct lock_history *h = p->history;
    if (p->observer) {
        if (outcome != CALL_RELEASED) observe(p, hit, hit->regs, address);
        return;
    }
    uint32_t space = space_index(p, hit->space, hit->pid, hit->next_event);
    const struct word_place at = locate(r, space, hit->space, address);
    struct lock *l = find_lock(p, &at, 0);
    if (!l) {
        l = lock_words_add(&h->words, at, LOCK_CALLS, 0, 0);
        if (!l) return;
        l->name = at.space == LOCK_SHARED ? -1 : name_data(p, r, hit->tid, address);
    }
    // The user knows better than the word.
    if (l->family != LOCK_CALLS) {
        lock_gone(&h->words, l, hit->next_event);
        l->family = LOCK_CALLS;
    }
    l->last_space = space;
    l->last_address = address;
    struct lock_access a = access_of(p, hit);
    a.pc = place;
    a.failed = outcome == CALL_FAILED;
    if (outcome == CALL_RELEASED)
        lock_call_released(&h->words, l, &a);
    else
        lock_call_acquired(&h->words, l, &a);
}

static enum break_action on_call(struct lock_pass *p, struct replay *r, const struct visit *v) {
    struct break_hit *hit = v->hit;
    uint16_t index = site_of(v)->function;
    const struct lock_function *f = &p->functions->v[index];
    uint64_t address = abi_function_argument(hit->regs, (f->argument - 1) % 6), back;
    uint32_t place = place_of(p, r, v);
    if (f->kind == LOCK_CALL_RELEASE) {
        call_told(p, r, hit, address, place, CALL_RELEASED);
        return BREAK_EXECUTE;
    }
    if (!replay_space_read(r, hit->space, hit->regs->rsp, &back, 8)) return BREAK_EXECUTE;
    array_push(p->calls, p->call_count,
               (struct call){.tid = hit->tid,
                             .space = hit->space,
                             .rsp = hit->regs->rsp + 8,
                             .lock = address,
                             .function = index});
    // Where the caller's code cannot be stopped (made at run time) the call counts as soon as it begins.
    if (!replay_break_add(r, hit->space, back, 0, RETURN_TAG | place) && f->kind == LOCK_CALL_ACQUIRE) {
        p->call_count--;
        call_told(p, r, hit, address, place, CALL_TOOK);
    }
    return BREAK_EXECUTE;
}

static enum break_action on_return(struct lock_pass *p, struct replay *r, struct break_hit *hit) {
    for (size_t i = p->call_count; i-- > 0;) {
        struct call c = p->calls[i];
        if (c.tid != hit->tid || c.space != hit->space || c.rsp > hit->regs->rsp) continue;
        array_remove(p->calls, p->call_count, i);
        if (c.rsp != hit->regs->rsp) continue; // left by a longjmp
        const struct lock_function *f = &p->functions->v[c.function];
        bool zero = !(uint32_t)hit->regs->rax;
        bool failed = f->kind == LOCK_CALL_TRY && zero == f->fails_zero;
        call_told(p, r, hit, c.lock, (uint32_t)(hit->tag & ~RETURN_TAG), failed ? CALL_FAILED : CALL_TOOK);
        break;
    }
    return BREAK_EXECUTE;
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct lock_pass *p = context;
    struct rf_error ignored;
    timeline_worked(p->timeline, 1, 0);
    if (++p->hits % ASK_EVERY == 0 && !p->observer &&
        timeline_report(p->timeline, timeline_position(p->timeline) - p->history->from,
                        p->history->to - p->history->from, &ignored) < 0)
        return BREAK_STOP;
    if (hit->tag & RETURN_TAG) return on_return(p, r, hit);
    struct pass_module *m = &p->modules[hit->tag >> 32];
    const struct visit v = {hit, m, (uint32_t)hit->tag};
    switch (site_of(&v)->kind) {
    case LOCK_SITE_STORE:
        return on_store(p, r, &v);
    case LOCK_SITE_CALL:
        return on_call(p, r, &v);
    default:
        return on_atomic(p, r, &v);
    }
}

// ---- events

static bool is_slow(const struct lock *l, const struct event *e) {
    return l->family == LOCK_WORD && !l->released && !l->waits && e->number - l->last_event > SLOW_EVERY;
}

// (Memory that processes share outlives the one that used it last.)
static bool read_lock(struct lock_pass *p, struct replay *r, const struct lock *l, uint64_t *value) {
    size_t size = l->size <= 8 ? l->size : 8;
    if (l->space == LOCK_SHARED) return replay_shared_read(r, l->identity, l->address, value, size);
    return replay_space_read(r, space_id(p, l->last_space), l->last_address, value, size);
}

// What changed without an atomic instruction in the slice that has just ended.
static void look_at_open(struct lock_pass *p, struct replay *r, const struct event *e, uint32_t space) {
    struct lock_words *w = &p->history->words;
    size_t kept = 0;
    for (size_t i = 0; i < w->open_count; i++) {
        struct lock *l = &w->locks[w->open[i]];
        if (!l->holder_count) {
            l->open = l->watched = false;
            continue;
        }
        w->open[kept++] = w->open[i];
        if (l->family == LOCK_CALLS || (l->last_space != space && l->space != LOCK_SHARED)) continue;
        bool slow = is_slow(l, e);
        if (slow) l->watched = false;
        if (slow && e->number % SLOW_EVERY && e->kind != EV_BIRTH) continue;
        struct lock_access a = {.event = e->number,
                                .tid = slow ? 0 : e->tid,
                                .pc = LOCK_NO_PLACE,
                                .before = l->value,
                                .time_us = p->now_us,
                                .unseen = true};
        uint64_t now = 0;
        if (!read_lock(p, r, l, &now)) {
            lock_gone(w, l, e->number);
            continue;
        }
        a.after = now;
        if (now != l->value) lock_accessed(w, l, &a);
    }
    w->open_count = kept;
}

// The lock whose futex word that is: of rwlocks it is behind the state word.
static struct lock *futex_lock(struct lock_pass *p, struct replay *r, uint32_t space, uint64_t address) {
    const struct word_place at = locate(r, space, space_id(p, space), address);
    struct lock *l = find_lock(p, &at, 0);
    for (uint64_t back = 8; back <= 12 && !l; back += 4)
        if ((l = find_lock(p, &at, back)) && l->family != LOCK_RWLOCK)
            l = NULL; // musl waits on the word itself
    return l;
}

static void on_wait(struct lock_pass *p, struct replay *r, const struct event *e, uint32_t space) {
    const uint64_t args[6] = {e->regs.rdi, e->regs.rsi};
    if (e->nr != SYS_futex || !(e->flags & EVF_REGS) || !futex_waits(args)) return;
    struct lock *l = futex_lock(p, r, space, args[0]);
    if (!l) return;
    lock_wait_begins(&p->history->words, l, e->tid, e->number);
    if (e->kind != EV_ENTER) return;
    array_push(p->waiters, p->waiter_count,
               (struct waiter){.tid = e->tid,
                               .lock = (uint32_t)(l - p->history->words.locks),
                               .event = e->number,
                               .time_us = e->time_us});
}

static void wait_over(struct lock_pass *p, const struct event *e) {
    for (size_t i = 0; i < p->waiter_count; i++) {
        struct waiter w = p->waiters[i];
        if (w.tid != e->tid) continue;
        p->waiters[i] = p->waiters[--p->waiter_count];
        lock_wait_ended(&p->history->words.locks[w.lock], w.tid, w.event, e->number, e->time_us - w.time_us);
        return;
    }
}

static void on_fork(struct lock_pass *p, struct replay *r, const struct event *e, uint32_t parent) {
    struct lock_words *w = &p->history->words;
    uint32_t id = replay_space_of(r, (int)e->ret);
    if (!id || e->flags & EVF_VM) return;
    uint32_t child = add_space(
        p, id,
        (struct lock_space){.pid = (int)e->aux, .begin = e->number, .parent = parent, .forker = e->tid});
    *last_space(p, (int)e->ret) = child;
    size_t open = w->open_count; // those of the child are added behind
    for (size_t i = 0; i < open; i++) {
        size_t lock = w->open[i];
        if (w->locks[lock].space == parent && w->locks[lock].holder_count)
            lock_inherited(w, lock, child, e->number);
    }
}

// After an exec, or the death of its last task.
static void leave_space(struct lock_pass *p, struct replay *r, uint32_t space, uint64_t event) {
    struct lock_words *w = &p->history->words;
    if (space == LOCK_SHARED) return;
    for (size_t i = 0; i < replay_task_count(r); i++)
        if (replay_space_of(r, replay_task_at(r, i)->tid) == space_id(p, space)) return;
    for (size_t i = 0; i < w->open_count; i++)
        if (w->locks[w->open[i]].space == space) lock_gone(w, &w->locks[w->open[i]], event);
}

static void on_step(void *context, struct replay *r, const struct event *e) {
    struct lock_pass *p = context;
    if (p->observer) return;
    uint32_t *last = last_space(p, e->tid), before = *last, id = replay_space_of(r, e->tid);
    const struct replay_task *task = replay_task_find(r, e->tid);
    if (id && task) *last = space_index(p, id, task->pid, e->number);
    uint32_t space = *last;
    if (space != LOCK_SHARED && e->kind != EV_EXEC) look_at_open(p, r, e, space);
    p->now_us = e->time_us;
    switch (e->kind) {
    case EV_SYSCALL:
    case EV_ENTER:
        for (size_t i = 0; i < p->history->words.open_count; i++)
            lock_called(&p->history->words.locks[p->history->words.open[i]], e->tid, e->nr);
        if (space != LOCK_SHARED) on_wait(p, r, e, space);
        break;
    case EV_EXIT:
        wait_over(p, e);
        break;
    case EV_BIRTH:
        if (space != LOCK_SHARED) on_fork(p, r, e, space);
        break;
    case EV_EXEC:
        leave_space(p, r, before, e->number);
        break;
    case EV_DEATH:
        wait_over(p, e);
        leave_space(p, r, before, e->number);
        break;
    }
}

void lock_pass_tasks(struct lock_pass *p, struct replay *r) {
    struct lock_history *h = p->history;
    h->task_count = replay_task_count(r);
    h->tasks = calloc(h->task_count + 1, sizeof *h->tasks);
    rf_assert(h->tasks);
    for (size_t i = 0; i < h->task_count; i++) {
        const struct replay_task *task = replay_task_at(r, i);
        h->tasks[i] = (struct lock_task){task->tid, task->pid, add_string(p, task->name)};
    }
}

struct break_client lock_pass_client(struct lock_pass *p) {
    return (struct break_client){.mapped = mapped,
                                 .hit = on_hit,
                                 .noted = p->stops ? NULL : on_notes,
                                 .paused = p->paused ? on_pause : NULL,
                                 .stepped = on_step,
                                 .context = p};
}

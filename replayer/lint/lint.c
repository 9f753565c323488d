#include "replayer/lint/lint.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/elf/elf_module.h"
#include "core/elf/lock_sites.h"
#include "core/path.h"
#include "replayer/functions.h"
#include "replayer/verdict/history.h"
#include "replayer/locks/kinds.h"
#include "replayer/engine/break_hits.h"
#include "replayer/lint/lint_names.h"
#include "replayer/names/frames.h"
#include "replayer/names/stack.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAMES_MAX = 128,
    OPEN_MAX = 64, // calls within calls, over all tasks
    CALLS_MAX = 4096,
    MODULES_MAX = 512,
    CHILDREN_MAX = 4096,
    FREED_MAX = 256, // locks of fork handlers
};

// What a breakpoint is for, in its tag's upper half.
enum { TAG_RETURN = 1, TAG_SITE, TAG_FUNCTION, TAG_FORKED };
#define TAG(what, index) ((uint64_t)(what) << 32 | (index))

struct function {
    uint64_t vaddr;
    char name[96];
    enum lint_class class;
    int argument;
};

// What is known of one file of code.
struct code {
    uint64_t blob;
    char name[64];               // base name
    bool libc, glibc, linked_in; // linked_in: libc is part of the program
    bool by_code;                // and which functions are libc's is known (replayer/names/static_names.h)
    uint64_t start;              // of __libc_start_main
    bool system;                 // its calls are libc's own
    struct function *functions;  // by address, one for each
    size_t function_count;
    struct lock_site *sites;
    size_t site_count;
    struct elf_module *elf;
};

struct mapped {
    uint32_t space;
    uint64_t start, end, bias;
    struct code *code;
};

struct child { // being looked at
    uint32_t space;
    int pid;
    struct finding_point fork;
    bool handlers;             // fork() runs its handlers: libc's own locks are free
    uint64_t forked;           // where fork() returns to; 0: unknown
    bool in_fork;              // it has not returned yet: what runs are fork handlers
    uint64_t freed[FREED_MAX]; // locks that they have released
    size_t freed_count;
};

struct open_call {
    int tid;
    uint64_t sp; // at the entry: points to the return address
    size_t call; // index in lint->calls
    bool dead;   // its return cannot be seen: takes no locks
    bool freed;  // malloc or stdio inside another function: fork() has made their locks free
};

// Beside each lint_call: what tells it from others, and what its level is made of.
struct site {
    uint64_t blob, offset; // of the return address
    const struct code *code;
    enum lint_class class;
    int last_child;
    bool handlers;
};

struct run {
    struct timeline *timeline;
    struct lint *lint;
    struct site *sites; // beside lint->calls
    struct code *codes[MODULES_MAX];
    size_t code_count;
    struct mapped *mappings;
    size_t mapping_count;
    struct child *children;
    size_t child_count;
    struct open_call open[OPEN_MAX];
    size_t open_count;
};

// ---- files of code

struct collect {
    struct code *code;
    bool explicit_only; // only functions with a row
};

// The name that a program would write, of the aliases of one address: a safe one makes all of them safe.
static void add_function(void *context, uint64_t vaddr, const char *name) {
    struct collect *c = context;
    struct code *code = c->code;
    const struct lint_name *row = lint_name_find(name);
    struct function *last = code->function_count ? &code->functions[code->function_count - 1] : NULL;
    bool alias = last && last->vaddr == vaddr;
    if (!row && (c->explicit_only || lint_name_is_internal(name))) return;
    if (alias && (!row || last->class == LINT_SAFE || last->class == LINT_PLAIN)) return;
    if (!alias) {
        last = array_add(code->functions, code->function_count);
    }
    *last = (struct function){
        .vaddr = vaddr, .class = row ? row->class : LINT_UNKNOWN, .argument = row ? row->argument : 0};
    bool reserved = *name == '_' && strncmp(name, "__cxa_", 6) != 0; // the other name of what programs call
    snprintf(last->name, sizeof last->name, "%s", row && reserved ? row->name : name);
}

static void note_libc(void *context, uint64_t vaddr, const char *name) {
    struct code *code = context;
    if (!strcmp(name, "__libc_start_main")) {
        code->libc = true;
        code->start = vaddr;
    }
    if (!strncmp(name, "_IO_", 4)) code->glibc = true; // musl has none
    if (!strcmp(name, "main")) code->linked_in = true;
}

// What is safe needs no breakpoint.
static void drop_safe(struct code *code) {
    size_t kept = 0;
    for (size_t i = 0; i < code->function_count; i++) {
        enum lint_class class = code->functions[i].class;
        if (class != LINT_SAFE && class != LINT_PLAIN) code->functions[kept++] = code->functions[i];
    }
    code->function_count = kept;
}

static void read_code_file(struct run *u, const struct view *v, const struct view_map *map,
                           struct code *code) {
    struct symbols *symbols = timeline_symbols(u->timeline);
    uint64_t bias;
    snprintf(code->name, sizeof code->name, "%s", base_name(map->name));
    const struct frame frame = {.module = code->name};
    if (!symbols_functions(symbols, v, map->start, note_libc, code, &bias)) return;
    if (code->libc) {
        struct frame start;
        symbols_pc(symbols, v, code->start + bias, &start);
        code->by_code = start.library;
    }
    code->linked_in = code->libc && (code->linked_in || code->by_code);
    code->system = stack_is_system(&frame) || (code->libc && !code->linked_in);
    struct collect c = {.code = code, .explicit_only = !code->libc || code->linked_in};
    symbols_functions(symbols, v, map->start, add_function, &c, &bias);
    drop_safe(code);
    size_t size;
    const void *image = v->blob(v->context, map->blob, &size);
    code->elf = image ? elf_module_parse(image, size) : NULL;
    if (code->elf && code->function_count) code->sites = elf_module_lock_sites(code->elf, &code->site_count);
}

static struct code *code_of(struct run *u, const struct view *v, const struct view_map *map) {
    for (size_t i = 0; i < u->code_count; i++)
        if (u->codes[i]->blob == map->blob) return u->codes[i];
    if (u->code_count == MODULES_MAX) return NULL;
    struct code *code = calloc(1, sizeof *code);
    rf_assert(code);
    u->codes[u->code_count++] = code;
    code->blob = map->blob;
    read_code_file(u, v, map, code);
    return code;
}

static const struct mapped *mapped_at(const struct run *u, uint32_t space, uint64_t address) {
    for (size_t i = 0; i < u->mapping_count; i++) {
        const struct mapped *m = &u->mappings[i];
        if (m->space == space && address >= m->start && address < m->end) return m;
    }
    return NULL;
}

static struct child *child_of(const struct run *u, uint32_t space) {
    for (size_t i = 0; i < u->child_count; i++)
        if (u->children[i].space == space) return &u->children[i];
    return NULL;
}

// ---- breakpoints

static void on_mapped(void *context, struct replay *r, const struct break_mapping *p) {
    struct run *u = context;
    struct view view;
    struct rf_error err;
    struct child *child = child_of(u, p->space);
    if (!child) return;
    if (child->in_fork && child->forked >= p->map.start && child->forked < p->map.end)
        replay_break_add(r, p->space, child->forked, 0, TAG(TAG_FORKED, 0));
    if (!p->map.blob || replay_view(r, p->tid, &view, &err) < 0) return;
    struct code *code = code_of(u, &view, &p->map);
    uint64_t bias;
    if (!code || !code->elf || !elf_module_bias(code->elf, p->map.offset, p->map.start, &bias)) return;
    array_push(u->mappings, u->mapping_count,
               (struct mapped){
                   .space = p->space, .start = p->map.start, .end = p->map.end, .bias = bias, .code = code});
    for (size_t i = 0; i < code->site_count; i++) {
        uint64_t at = code->sites[i].vaddr + bias;
        if (at >= p->map.start && at < p->map.end)
            replay_break_add(r, p->space, at, code->sites[i].length, TAG(TAG_SITE, i));
    }
    for (size_t i = 0; i < code->function_count; i++) {
        uint64_t at = code->functions[i].vaddr + bias;
        if (at >= p->map.start && at < p->map.end) replay_break_add(r, p->space, at, 0, TAG(TAG_FUNCTION, i));
    }
}

// ---- locks

static void describe_lock(struct run *u, const struct view *v, uint64_t address, const char *kind,
                          struct finding_lock *out) {
    struct data_symbol symbol;
    *out = (struct finding_lock){.address = address};
    snprintf(out->kind, sizeof out->kind, "%s", kind);
    if (!symbols_data(timeline_symbols(u->timeline), v, address, &symbol)) return;
    if (symbol.offset)
        snprintf(out->symbol, sizeof out->symbol, "%.200s+%lu", symbol.name, (unsigned long)symbol.offset);
    else
        snprintf(out->symbol, sizeof out->symbol, "%.255s", symbol.name);
    if (symbol.file && symbol.line)
        snprintf(out->declared, sizeof out->declared, "%.240s:%d", symbol.file, symbol.line);
}

// Locks that glibc's fork() makes free in the child, where libc's symbols tell them.
static bool is_freed_lock(const struct finding_lock *l) {
    static const char *const names[] = {"main_arena", "list_all_lock", "_IO_stdfile_0_lock",
                                        "_IO_stdfile_1_lock", "_IO_stdfile_2_lock"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(l->symbol, names[i], strlen(names[i]))) return true;
    return false;
}

// The thread of `hit`, in a child, takes a lock in `call`.
static void add_lock(struct run *u, struct replay *r, const struct break_hit *hit, struct lint_call *call,
                     uint64_t address, const char *kind) {
    const struct site *site = &u->sites[call - u->lint->calls];
    const struct child *child = child_of(u, hit->space);
    struct view view;
    struct rf_error err;
    for (size_t i = 0; i < call->lock_count; i++)
        if (call->locks[i].address == address) return;
    for (size_t i = 0; i < child->freed_count; i++) {
        if (child->freed[i] != address) continue;
        call->freed = true;
        return;
    }
    if (call->lock_count == LINT_LOCKS || replay_view(r, hit->tid, &view, &err) < 0) return;
    const struct view_map *map = view_find(&view, address);
    if (map && !strcmp(map->name, "[stack]")) return; // nobody else's
    struct finding_lock *lock = &call->locks[call->lock_count];
    describe_lock(u, &view, address, kind, lock);
    bool freed = site->code->glibc && site->handlers && is_freed_lock(lock);
    if (!freed || site->class == LINT_TAKES) call->lock_count++;
}

static struct open_call *open_of(struct run *u, int tid) {
    for (size_t i = u->open_count; i-- > 0;)
        if (u->open[i].tid == tid) return &u->open[i];
    return NULL;
}

static void add_freed(struct child *child, uint64_t address) {
    if (child->freed_count < FREED_MAX) child->freed[child->freed_count++] = address;
}

// An atomic instruction of a library: a lock is taken when it turns 0 into something else in exchange.
static enum break_action on_site(struct run *u, struct replay *r, struct break_hit *hit) {
    struct atomic_result result;
    int tid = hit->tid;
    if (replay_break_atomic(r, hit, &result) != 0) return BREAK_EXECUTE;
    struct open_call *open = open_of(u, tid);
    struct child *child = child_of(u, hit->space);
    uint8_t operation = result.instruction.operation;
    bool exchange = operation == ATOMIC_CMPXCHG || operation == ATOMIC_XCHG || operation == ATOMIC_BTS;
    bool takes = exchange && !result.failed && !result.before.low && result.after.low;
    if (child && child->in_fork && result.before.low && !result.after.low) add_freed(child, result.address);
    if (open && child && !open->dead && !open->freed && takes && hit->regs->rsp <= open->sp) {
        struct lint_call *call = &u->lint->calls[open->call];
        add_lock(u, r, hit, call, result.address, u->sites[open->call].code->libc ? "libc lock" : "lock");
    }
    return BREAK_DONE;
}

// ---- calls

static void on_return(struct run *u, const struct break_hit *hit) {
    for (size_t i = u->open_count; i-- > 0;) {
        if (u->open[i].tid != hit->tid || u->open[i].sp + 8 != hit->regs->rsp) continue;
        memmove(&u->open[i], &u->open[i + 1], (u->open_count - i - 1) * sizeof *u->open);
        u->open_count--;
        return;
    }
}

// A call that begins further up the stack says that those below have been left, by longjmp or unseen.
static void forget_left(struct run *u, int tid, uint64_t sp) {
    size_t kept = 0;
    for (size_t i = 0; i < u->open_count; i++)
        if (u->open[i].tid != tid || u->open[i].sp > sp) u->open[kept++] = u->open[i];
    u->open_count = kept;
}

// Is the call libc's own affair? Of a program that has libc linked in this is told by what is called within what, and
// by where the caller was linked from, or else by the names of what surrounds main.
static bool is_own_affair(struct run *u, struct replay *r, const struct break_hit *hit,
                          const struct code *code, const struct mapped *caller, uint64_t back) {
    if (!code->linked_in) return caller && (caller->code->system || caller->code == code);
    if (open_of(u, hit->tid)) return true;
    struct view view;
    struct rf_error err;
    struct frame frame;
    if (replay_view(r, hit->tid, &view, &err) < 0) return true;
    symbols_pc(timeline_symbols(u->timeline), &view, back - 1, &frame);
    if (code->by_code) return stack_is_libc(&frame);
    return !frame.file && (!frame.function || frame.function[0] == '_' || lint_name_find(frame.function));
}

static size_t call_of(const struct run *u, const struct function *f, uint64_t blob, uint64_t offset) {
    for (size_t i = 0; i < u->lint->count; i++)
        if (u->sites[i].blob == blob && u->sites[i].offset == offset &&
            !strcmp(u->lint->calls[i].function, f->name))
            return i;
    return u->lint->count;
}

static size_t new_call(struct run *u, struct replay *r, const struct break_hit *hit, const struct function *f,
                       const struct code *code, const struct child *child) {
    struct lint *l = u->lint;
    if (l->count == CALLS_MAX) return CALLS_MAX;
    size_t sites = l->count;
    array_push(u->sites, sites, (struct site){.code = code, .class = f->class, .handlers = child->handlers});
    struct lint_call *c = array_add(l->calls, l->count);
    *c = (struct lint_call){.point = {.event = hit->next_event, .pid = hit->pid, .tid = hit->tid},
                            .fork = child->fork};
    snprintf(c->function, sizeof c->function, "%s", f->name);
    c->point.stack = functions_stack(u->timeline, r, hit);
    c->fork.stack = stack_copy(&child->fork.stack);
    return l->count - 1;
}

static const char *lock_kind(const char *function) {
    static const struct {
        const char *start, *kind;
    } kinds[] = {{"pthread_mutex", "pthread_mutex"},
                 {"pthread_rwlock", "pthread_rwlock"},
                 {"pthread_spin", "pthread_spinlock"},
                 {"pthread_cond", "pthread_cond"},
                 {"pthread_barrier", "pthread_barrier"},
                 {"pthread_once", "pthread_once"},
                 {"sem_", "sem"},
                 {"__cxa_guard", "guard of a static"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strncmp(function, kinds[i].start, strlen(kinds[i].start))) return kinds[i].kind;
    return "lock";
}

// glibc's fork() takes malloc's and stdio's locks before, and makes them free in the child.
static bool is_freed(const struct code *code, enum lint_class class, bool handlers) {
    return code->glibc && handlers && (class == LINT_MALLOC || class == LINT_STDIO);
}

static void open_call(struct run *u, struct replay *r, const struct break_hit *hit, uint64_t back,
                      size_t call, bool freed) {
    if (u->open_count == OPEN_MAX) return;
    bool seen = replay_break_add(r, hit->space, back, 0, TAG(TAG_RETURN, 0));
    u->open[u->open_count++] = (struct open_call){
        .tid = hit->tid, .sp = hit->regs->rsp, .call = call, .dead = !seen, .freed = freed};
}

static void on_function(struct run *u, struct replay *r, const struct break_hit *hit, uint32_t index) {
    struct child *child = child_of(u, hit->space);
    const struct mapped *at = mapped_at(u, hit->space, hit->address);
    uint64_t back;
    if (!child || !at || index >= at->code->function_count ||
        !replay_space_read(r, hit->space, hit->regs->rsp, &back, sizeof back))
        return;
    const struct function *f = &at->code->functions[index];
    const struct mapped *caller = mapped_at(u, hit->space, back);
    forget_left(u, hit->tid, hit->regs->rsp);
    if (is_own_affair(u, r, hit, at->code, caller, back)) {
        struct open_call *open = open_of(u, hit->tid);
        if (open && is_freed(at->code, f->class, child->handlers))
            open_call(u, r, hit, back, open->call, true);
        return;
    }
    if (child->in_fork && f->class == LINT_HANDLER) {
        add_freed(child, hit->regs->rdi);
        return;
    }
    uint64_t blob = caller ? caller->code->blob : 0, offset = caller ? back - caller->bias : back;
    size_t i = call_of(u, f, blob, offset);
    if (i == u->lint->count) i = new_call(u, r, hit, f, at->code, child);
    if (i == CALLS_MAX) return;
    struct lint_call *c = &u->lint->calls[i];
    u->sites[i].blob = blob;
    u->sites[i].offset = offset;
    u->sites[i].handlers &= child->handlers;
    c->waits = f->class != LINT_HANDLER;
    c->count++;
    if (u->sites[i].last_child != child->pid) c->children++;
    u->sites[i].last_child = child->pid;
    if (f->class == LINT_TAKES) {
        add_lock(u, r, hit, c, abi_function_argument(hit->regs, f->argument % 3), lock_kind(f->name));
    }
    open_call(u, r, hit, back, i, is_freed(at->code, f->class, child->handlers));
}

static void on_forked(struct run *u, struct replay *r, const struct break_hit *hit) {
    struct child *child = child_of(u, hit->space);
    if (child && child->pid == hit->tid) child->in_fork = false;
    replay_break_remove(r, hit->space, hit->address);
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct run *u = context;
    switch (hit->tag >> 32) {
    case TAG_SITE:
        return on_site(u, r, hit);
    case TAG_RETURN:
        on_return(u, hit);
        break;
    case TAG_FORKED:
        on_forked(u, r, hit);
        break;
    case TAG_FUNCTION:
        on_function(u, r, hit, (uint32_t)hit->tag);
        break;
    }
    return BREAK_EXECUTE;
}

// ---- which children

struct candidate {
    uint64_t birth, end; // of the address space
    int pid;
    size_t space; // of the history
};

static size_t threads_at(const struct history *h, size_t space, int forker, uint64_t event) {
    size_t count = 0, life = history_life(h, forker, event);
    for (size_t i = 0; life != NONE && i < h->life_count; i++)
        count += h->lives[i].space == space && h->lives[i].pid == h->lives[life].pid &&
                 life_at(&h->lives[i], event);
    return count;
}

static int by_birth(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    return x->birth < y->birth ? -1 : x->birth > y->birth;
}

// Copies of threaded processes, and copies of these: those too have the locks as they were.
static size_t find_candidates(const struct history *h, uint64_t last, struct candidate *out) {
    bool *watched = calloc(h->space_count + 1, sizeof *watched);
    size_t count = 0;
    rf_assert(watched);
    for (size_t i = 0; i < h->space_count && count < CHILDREN_MAX; i++) {
        const struct space_life *s = &h->spaces[i];
        if (!s->forker || s->parent == NONE || s->parent >= h->space_count) continue;
        watched[i] = watched[s->parent] || threads_at(h, s->parent, s->forker, s->begin) > 1;
        if (!watched[i]) continue;
        struct candidate c = {.birth = s->begin, .pid = s->pid, .space = i, .end = s->begin};
        for (size_t k = 0; k < h->life_count; k++) {
            if (h->lives[k].space != i) continue;
            uint64_t death = h->lives[k].death ? h->lives[k].death : last;
            if (death > c.end) c.end = death;
        }
        out[count++] = c;
    }
    free(watched);
    qsort(out, count, sizeof *out, by_birth);
    return count;
}

// ---- running

static void drop_children(struct run *u) {
    for (size_t i = 0; i < u->child_count; i++)
        free(u->children[i].fork.stack.frames);
    u->child_count = 0;
    u->mapping_count = 0;
    u->open_count = 0;
}

static void add_child(struct run *u, const struct history *h, const struct candidate *c) {
    struct replay *r = timeline_replay(u->timeline);
    struct frame frames[FRAMES_MAX];
    int forker = h->spaces[c->space].forker;
    size_t life = history_life(h, forker, c->birth),
           n = timeline_stack(u->timeline, forker, frames, FRAMES_MAX);
    struct child *child = array_add(u->children, u->child_count);
    *child = (struct child){.space = replay_space_of(r, c->pid), .pid = c->pid};
    child->fork = (struct finding_point){.event = c->birth,
                                         .tid = forker,
                                         .pid = life == NONE ? 0 : h->lives[life].pid,
                                         .stack = stack_of(frames, n)};
    for (size_t i = 0; i + 1 < n && !child->handlers; i++) {
        child->handlers = frames[i].function && stack_is_fork(frames[i].function);
        child->forked = frames[i + 1].pc;
    }
    child->in_fork = child->handlers;
}

// Breakpoints are put into all children anew: into the one that has just been born, too.
static int watch_children(struct run *u, struct rf_error *err) {
    const struct break_client client = {.mapped = on_mapped, .hit = on_hit, .context = u};
    struct replay *r = timeline_replay(u->timeline);
    u->mapping_count = 0;
    return replay_breaks(r, NULL, err) < 0 || replay_breaks(r, &client, err) < 0 ? -1 : 0;
}

static int run_all(struct run *u, const struct history *h, const struct candidate *list, size_t count,
                   struct rf_error *err) {
    uint64_t end = 0;
    struct replay *r = timeline_replay(u->timeline);
    for (size_t i = 0; i < count; i++) {
        if (timeline_seek(u->timeline, list[i].birth, err) < 0) return -1;
        add_child(u, h, &list[i]);
        if (watch_children(u, err) < 0) return -1;
        if (list[i].end > end) end = list[i].end;
        uint64_t next = i + 1 < count ? list[i + 1].birth : UINT64_MAX;
        if (next < end) continue;
        if (timeline_seek(u->timeline, end, err) < 0 || replay_breaks(r, NULL, err) < 0) return -1;
        drop_children(u);
    }
    return 0;
}

// ---- levels

const char *lint_level_name(enum lint_level level) {
    static const char *const names[] = {"error", "warning", "note"};
    return names[level];
}

static enum lint_level level_of(const struct lint_call *c, const struct site *s) {
    if (is_freed(s->code, s->class, s->handlers) || s->class == LINT_HANDLER) return LINT_NOTE;
    if (c->lock_count) return LINT_ERROR;
    return c->freed ? LINT_NOTE : LINT_WARNING;
}

void lint_reason(const struct lint_call *c, char *out, size_t size) {
    if (!c->waits)
        snprintf(out, size, "POSIX forbids it; it waits for nothing");
    else if (c->level == LINT_NOTE && c->freed)
        snprintf(out, size, "POSIX forbids it; fork handlers make its lock free in the child");
    else if (c->level == LINT_NOTE)
        snprintf(out, size, "POSIX forbids it; this glibc makes it safe after fork()");
    else if (!c->lock_count)
        snprintf(out, size, "POSIX forbids it; it takes no lock here");
    else if (*c->locks[0].symbol)
        snprintf(out, size, "can hang on %s", c->locks[0].symbol);
    else
        snprintf(out, size, "can hang on the %s at 0x%lx", c->locks[0].kind,
                 (unsigned long)c->locks[0].address);
}

static int by_level(const void *a, const void *b) {
    const struct lint_call *x = a, *y = b;
    if (x->level != y->level) return x->level < y->level ? -1 : 1;
    return x->point.event < y->point.event ? -1 : x->point.event > y->point.event;
}

static void finish(struct run *u) {
    struct lint *l = u->lint;
    bool libc = false;
    for (size_t i = 0; i < l->count; i++)
        l->calls[i].level = level_of(&l->calls[i], &u->sites[i]);
    if (l->count) qsort(l->calls, l->count, sizeof *l->calls, by_level);
    for (size_t i = 0; i < u->code_count; i++)
        libc |= u->codes[i]->libc;
    l->no_symbols = l->children && !libc;
}

static void release(struct run *u) {
    drop_children(u);
    for (size_t i = 0; i < u->code_count; i++) {
        free(u->codes[i]->functions);
        free(u->codes[i]->sites);
        if (u->codes[i]->elf) elf_module_free(u->codes[i]->elf);
        free(u->codes[i]);
    }
    free(u->mappings);
    free(u->children);
    free(u->sites);
}

int lint_run(struct timeline *t, struct lint **out, struct rf_error *err) {
    struct run *u = calloc(1, sizeof *u);
    struct candidate *list = calloc(CHILDREN_MAX, sizeof *list);
    rf_assert(u && list);
    u->timeline = t;
    u->lint = calloc(1, sizeof *u->lint);
    rf_assert(u->lint);
    struct history h;
    int failed = history_read(t, &h, err);
    u->lint->events = timeline_last(t);
    snprintf(u->lint->program, sizeof u->lint->program, "%s", h.program);
    if (!failed) {
        u->lint->children = find_candidates(&h, timeline_last(t), list);
        failed = run_all(u, &h, list, u->lint->children, err);
        if (failed) replay_breaks(timeline_replay(t), NULL, &(struct rf_error){0});
    }
    finish(u);
    history_release(&h);
    release(u);
    free(list);
    if (failed)
        lint_free(u->lint);
    else
        *out = u->lint;
    free(u);
    return failed;
}

void lint_free(struct lint *l) {
    if (!l) return;
    for (size_t i = 0; i < l->count; i++) {
        free(l->calls[i].point.stack.frames);
        free(l->calls[i].fork.stack.frames);
    }
    free(l->calls);
    free(l);
}

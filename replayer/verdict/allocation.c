#include "replayer/verdict/allocation.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/calls/syscall_walk.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/functions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
    FRAMES_MAX = 128,
    FIRST_WINDOW = 64, // events
    WINDOW_FACTOR = 16,
    ASK_EVERY = 512, // hits: a slice may have a million of them
};
#define RETURN_TAG (1ull << 63)

// Arguments are numbered from 1. `also` multiplies; 0: there is none. `result`: where the block's address is left, as
// an argument that points to it; 0: it is returned. `frees`: the argument that is a block which is no more behind the
// call.
struct function {
    const char *name, *shown;
    uint8_t size, also, result, frees;
};

// C's, POSIX's and C++'s own names (Itanium ABI), and those of tcmalloc, jemalloc and mimalloc, which export the former
// as well when they stand for malloc.
static const struct function functions[] = {
    {"malloc", "malloc", 1, 0, 0, 0},
    {"calloc", "calloc", 1, 2, 0, 0},
    {"realloc", "realloc", 2, 0, 0, 1},
    {"reallocarray", "reallocarray", 2, 3, 0, 1},
    {"aligned_alloc", "aligned_alloc", 2, 0, 0, 0},
    {"memalign", "memalign", 2, 0, 0, 0},
    {"posix_memalign", "posix_memalign", 3, 0, 1, 0},
    {"valloc", "valloc", 1, 0, 0, 0},
    {"pvalloc", "pvalloc", 1, 0, 0, 0},
    {"_Znwm", "operator new", 1, 0, 0, 0},
    {"_Znam", "operator new[]", 1, 0, 0, 0},
    {"_ZnwmRKSt9nothrow_t", "operator new", 1, 0, 0, 0},
    {"_ZnamRKSt9nothrow_t", "operator new[]", 1, 0, 0, 0},
    {"_ZnwmSt11align_val_t", "operator new", 1, 0, 0, 0},
    {"_ZnamSt11align_val_t", "operator new[]", 1, 0, 0, 0},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", "operator new", 1, 0, 0, 0},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", "operator new[]", 1, 0, 0, 0},
    {"tc_malloc", "tc_malloc", 1, 0, 0, 0},
    {"mallocx", "mallocx", 1, 0, 0, 0},
    {"rallocx", "rallocx", 2, 0, 0, 1},
    {"je_malloc", "je_malloc", 1, 0, 0, 0},
    {"mi_malloc", "mi_malloc", 1, 0, 0, 0},
    {"mi_zalloc", "mi_zalloc", 1, 0, 0, 0},
    {"mi_calloc", "mi_calloc", 1, 2, 0, 0},
    {"mi_realloc", "mi_realloc", 2, 0, 0, 1},
    {"free", NULL, 0, 0, 0, 1},
    {"cfree", NULL, 0, 0, 0, 1},
    {"_ZdlPv", NULL, 0, 0, 0, 1},
    {"_ZdaPv", NULL, 0, 0, 0, 1},
    {"_ZdlPvm", NULL, 0, 0, 0, 1},
    {"_ZdaPvm", NULL, 0, 0, 0, 1},
    {"_ZdlPvSt11align_val_t", NULL, 0, 0, 0, 1},
    {"_ZdaPvSt11align_val_t", NULL, 0, 0, 0, 1},
    {"_ZdlPvmSt11align_val_t", NULL, 0, 0, 0, 1},
    {"_ZdaPvmSt11align_val_t", NULL, 0, 0, 0, 1},
    {"_ZdlPvRKSt9nothrow_t", NULL, 0, 0, 0, 1},
    {"_ZdaPvRKSt9nothrow_t", NULL, 0, 0, 0, 1},
    {"tc_free", NULL, 0, 0, 0, 1},
    {"sdallocx", NULL, 0, 0, 0, 1},
    {"dallocx", NULL, 0, 0, 0, 1},
    {"je_free", NULL, 0, 0, 0, 1},
    {"mi_free", NULL, 0, 0, 0, 1},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

struct call {
    int tid, pid;
    size_t function;
    uint64_t event;   // it is in the slice that ends there...
    unsigned ordinal; // ...the so many'th call of that function in it, from 1
    uint64_t rsp;     // behind its return
    uint64_t size, result;
};

struct search {
    struct timeline *timeline;
    const struct history *history;
    size_t space;
    uint64_t address, until;
    uint64_t begin; // the search goes backwards from there
    uint64_t last;  // calls that begin in later slices are not looked at (they were in the window before)
    struct call *pending; // calls that have not returned
    size_t count;
    uint64_t hits, slice;
    unsigned ordinals[FUNCTIONS]; // in `slice`
    bool blind;                   // some call's result is not known
    bool found;
    struct call call; // the one that was found...
    uint64_t block;
    bool capture; // ...of which the stack is wanted, and whether it was freed later
    bool freed;
    struct lock_allocation *out;
    uint64_t added; // the function with the last breakpoint, which may have more names:
    size_t added_function;
};

void allocation_free(struct lock_allocation *a) {
    if (!a) return;
    free(a->point.stack.frames);
    free(a);
}

// Is what happens in `space` at `event` part of the past of s->space at `until`?
static bool in_the_past(const struct search *s, size_t space, uint64_t event) {
    uint64_t limit = s->until;
    for (size_t at = s->space; at != NONE; at = s->history->spaces[at].parent) {
        if (at == space) return event <= limit;
        if (s->history->spaces[at].begin < limit) limit = s->history->spaces[at].begin;
    }
    return false;
}

static bool concerns(const struct search *s, const struct break_hit *hit) {
    size_t life = history_life(s->history, hit->tid, hit->next_event ? hit->next_event - 1 : 0);
    return life != NONE && in_the_past(s, s->history->lives[life].space, hit->next_event);
}

// ---- breakpoints

static bool wanted(const struct search *s, size_t function) {
    return s->capture ? functions[function].frees || function == s->call.function
                      : functions[function].shown != NULL;
}

static void add_function(void *context, struct replay *r, uint32_t space, uint64_t address,
                         const char *name) {
    struct search *s = context;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (strcmp(name, functions[i].name) != 0) continue;
        // Of several names the first of the table: tcmalloc's operators new and new[] are one function.
        if (!wanted(s, i) || (address == s->added && s->added_function < i)) return;
        s->added = address;
        s->added_function = i;
        if (!replay_break_add(r, space, address, 0, i)) s->blind = true;
        return;
    }
}

static void mapped(void *context, struct replay *r, const struct break_mapping *mapping) {
    struct search *s = context;
    s->added = 0;
    functions_mapped(s->timeline, r, mapping, add_function, s);
}

static uint64_t argument(const struct user_regs_struct *u, unsigned number) {
    return number ? abi_function_argument(u, (int)(number - 1) % 6) : 1;
}

static void take_stack(struct search *s, struct replay *r, const struct break_hit *hit) {
    struct stack stack = functions_stack(s->timeline, r, hit);
    if (!stack.count) return;
    const struct function *f = &functions[s->call.function];
    s->out = calloc(1, sizeof *s->out);
    rf_assert(s->out);
    *s->out = (struct lock_allocation){
        .function = f->shown,
        .size = s->call.size,
        .offset = s->address - s->block,
        .point = {.event = s->call.event, .pid = hit->pid, .tid = hit->tid, .stack = stack}};
}

static void called(struct search *s, struct replay *r, const struct break_hit *hit) {
    size_t function = (size_t)hit->tag;
    const struct function *f = &functions[function];
    unsigned ordinal = ++s->ordinals[function];
    if (s->capture) {
        if (s->out) {
            s->freed |= f->frees && argument(hit->regs, f->frees) == s->block;
        } else if (function == s->call.function && hit->next_event == s->call.event &&
                   ordinal == s->call.ordinal) {
            take_stack(s, r, hit);
        }
        return;
    }
    if (hit->next_event > s->last) return;
    struct call c = {.tid = hit->tid,
                     .pid = hit->pid,
                     .function = function,
                     .event = hit->next_event,
                     .ordinal = ordinal,
                     .rsp = hit->regs->rsp + 8,
                     .size = argument(hit->regs, f->size) * argument(hit->regs, f->also),
                     .result = f->result ? argument(hit->regs, f->result) : 0};
    uint64_t back;
    if (!replay_space_read(r, hit->space, hit->regs->rsp, &back, 8) ||
        !replay_break_add(r, hit->space, back, 0, RETURN_TAG)) {
        s->blind = true;
        return;
    }
    array_push(s->pending, s->count, c);
}

static void returned(struct search *s, struct replay *r, const struct break_hit *hit) {
    for (size_t i = s->count; i-- > 0;) {
        struct call c = s->pending[i];
        if (c.tid != hit->tid || c.rsp > hit->regs->rsp) continue;
        memmove(s->pending + i, s->pending + i + 1, (s->count - i - 1) * sizeof *s->pending);
        s->count--;
        if (c.rsp != hit->regs->rsp) continue; // left by an exception
        uint64_t block = hit->regs->rax;
        if (c.result && (block || !replay_space_read(r, hit->space, c.result, &block, 8))) return;
        if (!block || s->address < block || s->address - block >= c.size) return;
        s->found = true; // the last one counts
        s->call = c;
        s->block = block;
        return;
    }
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct search *s = context;
    struct rf_error ignored;
    timeline_worked(s->timeline, 1, 0);
    if (++s->hits % ASK_EVERY == 0 &&
        timeline_report(s->timeline, timeline_position(s->timeline), s->until, &ignored) < 0)
        return BREAK_STOP;
    if (!concerns(s, hit)) return BREAK_EXECUTE;
    if (hit->next_event != s->slice) memset(s->ordinals, 0, sizeof s->ordinals);
    s->slice = hit->next_event;
    if (hit->tag & RETURN_TAG)
        returned(s, r, hit);
    else
        called(s, r, hit);
    return BREAK_EXECUTE;
}

// ---- the search

// Runs (from, until]; then on, as long as a call of it has not returned.
static int run(struct search *s, uint64_t from, uint64_t until, struct rf_error *err) {
    const struct break_client client = {.mapped = mapped, .hit = on_hit, .context = s};
    struct replay *r = timeline_replay(s->timeline);
    struct rf_error ignored;
    if (timeline_seek(s->timeline, from, err) < 0 || replay_breaks(r, &client, err) < 0) return -1;
    s->slice = 0;
    s->count = 0;
    s->last = until;
    int failed = timeline_seek(s->timeline, until, err);
    while (!failed && s->count && timeline_position(s->timeline) < s->until)
        failed = timeline_step(s->timeline, 1, err);
    replay_breaks(r, NULL, &ignored);
    if (failed) timeline_reset(s->timeline, &ignored);
    return failed;
}

static int find_call(struct search *s, struct rf_error *err) {
    uint64_t end = s->begin;
    for (uint64_t window = FIRST_WINDOW; end && !s->found && !s->blind; window *= WINDOW_FACTOR) {
        uint64_t from = end > window ? end - window : 0;
        if (run(s, from, end, err) < 0) return -1;
        end = from;
    }
    if (!s->found || s->blind) return 0;
    s->capture = true;
    return run(s, s->call.event - 1, s->begin, err);
}

// Memory that no allocator gave: of mmap itself.
static int find_mapping(struct search *s, struct rf_error *err) {
    struct event e;
    struct frame frames[FRAMES_MAX];
    uint64_t found = 0, size = 0, start = 0;
    int pid = 0;
    for (uint64_t n = 1; n <= s->until; n++) {
        if (timeline_event(s->timeline, n, &e, err) < 0) return -1;
        if (e.kind != EV_SYSCALL || e.nr != SYS_mmap || !(e.flags & EVF_REGS)) continue;
        uint64_t at = (uint64_t)e.ret;
        if (is_error(e.ret) || s->address < at || s->address - at >= e.regs.rsi) continue;
        size_t life = history_life(s->history, e.tid, n);
        if (life == NONE || !in_the_past(s, s->history->lives[life].space, n)) continue;
        // A part of what was mapped before: a module's data, by the loader.
        found = 0;
        if (e.regs.r10 & MAP_FIXED) continue;
        found = n;
        start = at;
        size = e.regs.rsi;
        pid = s->history->lives[life].pid;
    }
    if (!found) return 0;
    if (timeline_seek(s->timeline, found, err) < 0 || timeline_event(s->timeline, found, &e, err) < 0)
        return -1;
    size_t n = timeline_stack(s->timeline, e.tid, frames, FRAMES_MAX);
    s->out = calloc(1, sizeof *s->out);
    rf_assert(s->out);
    *s->out = (struct lock_allocation){
        .function = "mmap",
        .size = size,
        .offset = s->address - start,
        .point = {.event = found, .pid = pid, .tid = e.tid, .stack = stack_of(frames, n)}};
    return 0;
}

int allocation_find(struct timeline *t, const struct history *h, const struct allocated *what,
                    struct lock_allocation **out, struct rf_error *err) {
    struct search s = {.timeline = t,
                       .history = h,
                       .space = what->space,
                       .until = what->until,
                       .begin = what->initialised ? what->initialised : what->until,
                       .address = what->address};
    int failed = find_call(&s, err);
    if (!failed && !s.found && !s.blind) failed = find_mapping(&s, err);
    free(s.pending);
    *out = NULL;
    if (failed || s.freed || s.blind)
        allocation_free(s.out);
    else
        *out = s.out;
    return failed;
}

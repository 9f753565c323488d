#include "search/situation.h"
#include "search/same_code.h"

#include "core/elf/lock_sites.h"
#include "replayer/locks/kinds.h"
#include "replayer/locks/history.h"
#include "replayer/names/short_name.h"
#include "replayer/names/stack.h"
#include "replayer/names/unwind_module.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { DEEP_ENOUGH = 12, FORKS_LOOKED_AT = 200, HELD_MAX = 1024 };

// They return 0 when they have taken the lock that their first argument points to.
static const char *const lock_functions[] = {
    "pthread_mutex_lock",
    "pthread_mutex_trylock",
    "pthread_mutex_timedlock",
    "pthread_mutex_clocklock",
    "pthread_rwlock_rdlock",
    "pthread_rwlock_tryrdlock",
    "pthread_rwlock_timedrdlock",
    "pthread_rwlock_clockrdlock",
    "pthread_rwlock_wrlock",
    "pthread_rwlock_trywrlock",
    "pthread_rwlock_timedwrlock",
    "pthread_rwlock_clockwrlock",
    "pthread_spin_lock",
    "pthread_spin_trylock",
    "mtx_lock",
    "mtx_trylock",
    "mtx_timedlock",
};

static const char *const fork_functions[] = {"fork", "libc_fork", "arch_fork", "clone", "clone3"};

static bool is_one_of(const struct frame *f, const char *const *names, size_t n) {
    if (!f->function) return false;
    const char *name = stack_plain_name(f->function);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

#define ONE_OF(frame, names) is_one_of(frame, names, sizeof names / sizeof *names)

static bool is_fork(const struct frame *f) {
    return ONE_OF(f, fork_functions) || (f->function && !strcmp(f->function, "_Fork"));
}

// ---- the program's own frame

static bool begins(const char *text, const char *with) {
    return text && !strncmp(text, with, strlen(with));
}

// A library of the system, or a header of one that is inlined everywhere (std::mutex::lock).
static bool is_foreign(const struct view *v, const struct frame *f) {
    static const char *const folders[] = {"/usr/lib", "/lib/", "/lib64/"};
    if (!f->module || begins(f->file, "/usr/include/") || begins(f->file, "/usr/lib/")) return true;
    const struct view_map *map = view_find(v, f->pc - 1);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (map && begins(map->name, folders[i])) return true;
    return false;
}

static bool find_own(const struct view *v, struct own_frame *o) {
    const struct stack s = {o->frames, o->count};
    size_t first, last;
    o->outside_fork = 0;
    o->lock_function = o->count;
    stack_own_part(&s, &first, &last);
    for (size_t i = 0; i < last && i < DEEP_ENOUGH; i++) {
        bool lock = ONE_OF(&o->frames[i], lock_functions);
        bool fork = !lock && is_fork(&o->frames[i]);
        if (lock && o->lock_function == o->count) o->lock_function = i;
        if (fork) o->outside_fork = i + 1;
        if ((lock || fork) && first <= i) first = i + 1; // of a static program libc is no module of its own
    }
    if (first >= last) return false;
    o->own = first;
    while (o->own < last && (!o->frames[o->own].function || is_foreign(v, &o->frames[o->own])))
        o->own++;
    if (o->own == last) o->own = first; // the program is a part of the system
    return o->frames[o->own].function != NULL;
}

static bool name_frames(struct timeline *t, struct raw_frame *raw, size_t n, struct own_frame *out) {
    const struct view *v = &out->view;
    if (n) raw[0].exact = false;
    out->count =
        symbols_frames(timeline_symbols(t), v, raw, n, out->frames, sizeof out->frames / sizeof *out->frames);
    return out->count && find_own(v, out);
}

bool situation_stack(struct timeline *t, int tid, struct own_frame *out) {
    struct rf_error err;
    struct user_regs_struct regs;
    struct raw_frame raw[128];
    if (replay_task_regs(timeline_replay(t), tid, &regs, &err) < 0 ||
        replay_view(timeline_replay(t), tid, &out->view, &err) < 0)
        return false;
    size_t n = unwind_stack(&out->view, &regs, raw, sizeof raw / sizeof *raw);
    return name_frames(t, raw, n, out);
}

// The same for a point of a verdict. Moves t to it.
static bool point_stack(struct timeline *t, const struct finding_point *p, struct own_frame *out) {
    struct rf_error err;
    struct raw_frame raw[128];
    size_t n = 0;
    if (!p->event || timeline_seek(t, p->event, &err) < 0 ||
        replay_view(timeline_replay(t), p->tid, &out->view, &err) < 0)
        return false;
    for (size_t i = 0; i < p->stack.count && n < sizeof raw / sizeof *raw; i++) {
        const struct frame *f = &p->stack.frames[i];
        if (!f->inlined) raw[n++] = (struct raw_frame){.pc = f->pc, .scanned = f->scanned};
    }
    return name_frames(t, raw, n, out);
}

// The variable that holds this lock; "" when it is in none (on a heap, a stack). Another build has it under the same name,
// whatever else its debug information says of the lock ("log.mutex (Logger::mutex)").
static void read_variable(struct timeline *t, const struct view *v, uint64_t lock,
                          char name[SITUATION_VARIABLE]) {
    struct data_symbol symbol;
    bool known = lock && symbols_data(timeline_symbols(t), v, lock, &symbol);
    snprintf(name, SITUATION_VARIABLE, "%s", known ? symbol.name : "");
}

// ---- reading the recording

static char *copy(const char *text) {
    return text ? strdup(text) : NULL;
}

// Only from the recording: the file of that name on the disk may be another build's by now.
static char *recorded_line(struct timeline *t, const struct frame *f) {
    char name[4200];
    if (!f->file) return NULL;
    snprintf(name, sizeof name, "source:%s", f->file);
    if (!trace_blob_by_name(replay_trace(timeline_replay(t)), name)) return NULL;
    return trimmed_line(timeline_source_line(t, f->file, f->line));
}

// The frames without a name in the module of the own one, within it.
static size_t inner_of(const struct own_frame *o, uint64_t out[SITUATION_INNER]) {
    const struct frame *own = &o->frames[o->own];
    size_t count = 0;
    for (size_t i = 0; i < o->own && count < SITUATION_INNER; i++) {
        const struct frame *f = &o->frames[i];
        if (!f->function && f->module && own->module && !strcmp(f->module, own->module))
            out[count++] = f->module_offset;
    }
    return count;
}

static void read_frame(struct timeline *t, const struct own_frame *o, struct situation_frame *out) {
    const struct frame *f = &o->frames[o->own];
    struct module m;
    *out = (struct situation_frame){.function = copy(f->function),
                                    .module = copy(f->module),
                                    .file = copy(f->file),
                                    .text = recorded_line(t, f),
                                    .line = f->line,
                                    .offset = f->module_offset};
    out->inner_count = inner_of(o, out->inner);
    if (module_at(&o->view, f->pc - 1, &m)) out->content = XXH3_64bits(m.image, m.size);
}

// The lock instruction that the pc is at or behind.
static void read_instruction(const struct own_frame *o, struct situation_instruction *out) {
    const struct frame *f = &o->frames[0];
    struct module m;
    size_t count = 0, outer = 0;
    while (outer + 1 < o->count && o->frames[outer].inlined)
        outer++;
    *out = (struct situation_instruction){
        .module = copy(f->module), .function = copy(o->frames[outer].function), .own = o->own <= outer};
    if (!module_at(&o->view, f->pc - 1, &m)) return;
    out->content = XXH3_64bits(m.image, m.size);
    struct elf_module *elf = elf_module_parse(m.image, m.size);
    struct lock_site *sites = elf ? elf_module_lock_sites(elf, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (sites[i].vaddr != f->module_offset && sites[i].vaddr + sites[i].length != f->module_offset)
            continue;
        out->offset = sites[i].vaddr;
        out->operation = sites[i].operation;
        out->size = sites[i].size;
        if (sites[i].vaddr + sites[i].length == f->module_offset &&
            !(sites[i].flags & LOCK_SITE_SECOND_ENTRY))
            break;
    }
    free(sites);
    if (elf) elf_module_free(elf);
}

static int read_acquire(struct timeline *t, const struct finding *f, struct situation *out,
                        struct rf_error *err) {
    struct own_frame *o = calloc(1, sizeof *o);
    rf_assert(o);
    bool known = point_stack(t, &f->acquired, o);
    if (known) {
        read_frame(t, o, &out->acquired);
        read_variable(t, &o->view, f->lock.address, out->variable);
        read_instruction(o, &out->instruction);
        if (o->lock_function < o->own)
            out->lock_function = copy(stack_plain_name(o->frames[o->lock_function].function));
        bool helper =
            out->instruction.function && begins(stack_plain_name(out->instruction.function), "lll_lock_wait");
        for (size_t i = 0; helper && i < o->own && !out->helper_of; i++)
            if (!o->frames[i].inlined && o->frames[i].function &&
                strcmp(o->frames[i].function, out->instruction.function) != 0)
                out->helper_of = copy(o->frames[i].function);
    }
    free(o);
    if (known) return 0;
    return rf_fail(err, RF_CANNOT,
                   "the recorded lock was taken where no function has a name: build the program with -g");
}

static int read_fork(struct timeline *t, const struct finding *f, struct situation *out,
                     struct rf_error *err) {
    struct own_frame *o = calloc(1, sizeof *o);
    rf_assert(o);
    bool known = point_stack(t, &f->fork, o);
    if (known) read_frame(t, o, &out->forked);
    free(o);
    if (known) return 0;
    return rf_fail(err, RF_CANNOT,
                   "the recorded fork was called where no function has a name: build the program "
                   "with -g");
}

static bool can_be_forced(enum finding_kind kind) {
    return kind == FINDING_ORPHANED_LOCK || kind == FINDING_ORPHANED_SPIN;
}

// The call that the holder was in when the fork came, or had been in, since it took the lock.
static int32_t read_park_call(struct timeline *t, const struct finding *f) {
    struct rf_error ignored;
    struct event e;
    for (uint64_t n = f->fork.event; n > f->acquired.event; n--)
        if (timeline_event(t, n, &e, &ignored) == 0 && e.tid == f->acquired.tid &&
            (e.kind == EV_SYSCALL || e.kind == EV_ENTER) && call_may_sleep(e.nr))
            return e.nr;
    return -1;
}

int situation_read(struct timeline *t, const struct finding *f, struct situation *out, struct rf_error *err) {
    memset(out, 0, sizeof *out);
    out->kind = f->kind;
    snprintf(out->lock, sizeof out->lock, "%s", f->lock.symbol);
    if (!can_be_forced(f->kind))
        return rf_fail(
            err, RF_CANNOT,
            "a deadlock of the kind %s cannot be forced: only that another thread holds a lock at a fork can",
            finding_kind_name(f->kind));
    if (f->holder_is_forker)
        return rf_fail(
            err, RF_CANNOT,
            "the forking thread held the lock itself: there is nothing to force, any run shows it");
    if (!f->acquired.event || !f->acquired.stack.count || !f->fork.event)
        return rf_fail(err, RF_CANNOT, "the recording does not show where %s was taken",
                       f->lock.symbol[0] ? f->lock.symbol : "the lock");
    out->park_call = read_park_call(t, f);
    int failed = read_acquire(t, f, out, err) < 0 || read_fork(t, f, out, err) < 0;
    if (failed) situation_release(out);
    return failed ? -1 : 0;
}

static void release_frame(struct situation_frame *f) {
    free(f->function);
    free(f->module);
    free(f->file);
    free(f->text);
}

void situation_release(struct situation *s) {
    release_frame(&s->acquired);
    release_frame(&s->forked);
    free(s->lock_function);
    free(s->instruction.module);
    free(s->instruction.function);
    free(s->helper_of);
    memset(s, 0, sizeof *s);
}

// ---- comparing

// Was it in this function? One without a name is told by its place in the very same file.
static bool same_place(const struct situation_frame *f, const struct own_frame *o) {
    const struct frame *g = &o->frames[o->own];
    uint64_t inner[SITUATION_INNER];
    struct module m;
    size_t count = inner_of(o, inner);
    if (!g->function || !same_function(f->function, g->function) || count != f->inner_count) return false;
    return !count || (!memcmp(inner, f->inner, count * sizeof *inner) &&
                      same_file(&o->view, f->module, f->content, &m));
}

bool situation_is(const struct situation *s, struct timeline *t, const struct finding *f) {
    if (!can_be_forced(f->kind)) return false;
    char variable[SITUATION_VARIABLE] = "";
    struct own_frame *o = malloc(sizeof *o);
    rf_assert(o);
    bool same = point_stack(t, &f->acquired, o) && same_place(&s->acquired, o);
    if (same) read_variable(t, &o->view, f->lock.address, variable);
    same = same && (!s->variable[0] || !f->lock.symbol[0] || !strcmp(s->variable, variable)) &&
           point_stack(t, &f->fork, o) && same_place(&s->forked, o);
    free(o);
    return same;
}

// Is it in the variable of the recorded lock? One in no variable is like any other one in none.
static bool same_lock(const struct situation_run *r, const struct view *v, uint64_t lock,
                      struct situation_why *why) {
    const struct situation *s = r->recorded;
    char variable[SITUATION_VARIABLE];
    if (!lock || !s->lock[0]) return true;
    read_variable(r->timeline, v, lock, variable);
    if (!strcmp(s->variable, variable)) return true;
    if (variable[0])
        snprintf(why->text, sizeof why->text, "another lock was taken there, %s", variable);
    else
        snprintf(why->text, sizeof why->text,
                 "another lock was taken there, 0x%" PRIx64 ", which has no name", lock);
    return false;
}

static bool same_line(const struct situation_sites *sites, const struct frame *f) {
    bool same = !sites->line_count || !f->line;
    for (size_t i = 0; i < sites->line_count && !same; i++)
        same = sites->lines[i] == f->line;
    return same;
}

bool situation_is_place(const struct situation_run *r, const struct finding_point *p) {
    const struct situation *s = r->recorded;
    struct own_frame *o = malloc(sizeof *o);
    rf_assert(o);
    // An instruction of the function's own is stood at here, not behind: that may be another line.
    bool same = point_stack(r->timeline, p, o) && same_place(&s->acquired, o) &&
                (s->instruction.own || same_line(r->sites, &o->frames[o->own]));
    free(o);
    return same;
}

bool situation_holds(const struct situation_run *r, int tid, uint64_t lock, struct situation_why *why) {
    const struct situation *s = r->recorded;
    struct own_frame *o = malloc(sizeof *o);
    rf_assert(o);
    bool known = situation_stack(r->timeline, tid, o), same = false;
    const struct frame *f = &o->frames[o->own];
    if (!known || !same_place(&s->acquired, o))
        snprintf(why->text, sizeof why->text, "the lock was taken %s%s",
                 known && same_function(f->function, s->acquired.function) ? "elsewhere in " : "by ",
                 known ? f->function : "a function without a name");
    else if (!same_line(r->sites, f))
        snprintf(why->text, sizeof why->text, "the lock was taken by another line of %s, %d", f->function,
                 f->line);
    else
        same = same_lock(r, &o->view, lock, why);
    free(o);
    return same;
}

int situation_is_held(struct timeline *t, const struct situation_holding *x, bool *held,
                      struct situation_why *why, struct rf_error *err) {
    const struct lock_history_options options = {.from = 0};
    struct lock_history *h = NULL;
    *held = false;
    if (timeline_seek(t, x->event, err) < 0) return -1;
    const struct replay_task *task = replay_task_find(timeline_replay(t), x->tid);
    int pid = task ? task->pid : 0;
    if (!pid) {
        snprintf(why->text, sizeof why->text, "task %d, which took the lock, has ended before the fork",
                 x->tid);
        return 0;
    }
    int failed = lock_history_make(t, &options, &h, err);
    bool known = !failed && lock_history_lock(h, pid, x->address);
    struct lock_span *spans = calloc(HELD_MAX, sizeof *spans);
    rf_assert(spans);
    size_t n = known ? lock_history_held(h, x->event, pid, spans, HELD_MAX) : 0;
    for (size_t i = 0; i < n && i < HELD_MAX && !*held; i++)
        *held = spans[i].holder.tid == x->tid && h->words.locks[spans[i].lock].last_address == x->address;
    if (!known)
        snprintf(why->text, sizeof why->text,
                 "whether task %d still had 0x%" PRIx64 " at the fork is not known", x->tid, x->address);
    else if (!*held)
        snprintf(why->text, sizeof why->text, "task %d has given the lock back before the fork", x->tid);
    free(spans);
    lock_history_free(h);
    return failed;
}

// ---- forks

// The fork of that place; NULL.
static struct situation_fork *fork_behind(struct situation_forks *forks, const struct frame *behind) {
    for (size_t i = 0; i < forks->count; i++)
        if (forks->v[i].behind.offset == behind->module_offset &&
            !strcmp(forks->v[i].behind.module, behind->module ? behind->module : ""))
            return &forks->v[i];
    return NULL;
}

static void add_fork(struct situation_forks *forks, const struct frame *behind, const struct event *e,
                     struct slept_call slept) {
    struct situation_fork *f = fork_behind(forks, behind);
    if (!f && forks->count == SITUATION_FORKS) return;
    if (!f) {
        f = &forks->v[forks->count++];
        *f = (struct situation_fork){
            .behind.offset = behind->module_offset, .event = e->number, .tid = e->tid};
        snprintf(f->behind.module, sizeof f->behind.module, "%s", behind->module ? behind->module : "");
    }
    if (f->count < SITUATION_HOLDS) f->holds[f->count] = slept;
    f->count++;
}

bool situation_at_fork(struct timeline *t, int tid, const struct situation_forks *forks) {
    struct own_frame *o = malloc(sizeof *o);
    rf_assert(o);
    bool at = situation_stack(t, tid, o) &&
              fork_behind((struct situation_forks *)forks, &o->frames[o->outside_fork]);
    free(o);
    return at;
}

int situation_find_forks(const struct situation *s, struct timeline *t, struct situation_forks *out,
                         struct situation_why *why, struct rf_error *err) {
    struct own_frame *o = malloc(sizeof *o);
    rf_assert(o);
    struct slept slept = {.count = 0};
    bool by_text = false, failed = false;
    uint64_t looked = 0, total = 0;
    out->count = 0;
    for (uint64_t n = 1; n <= timeline_last(t) && looked < FORKS_LOOKED_AT && !failed; n++) {
        struct event e;
        failed = timeline_event(t, n, &e, err) < 0;
        if (failed) break;
        slept_event(&slept, &e);
        if (e.kind != EV_BIRTH || e.flags & EVF_VM) continue;
        total++;
        failed = timeline_seek(t, n, err) < 0;
        if (failed || !situation_stack(t, e.tid, o) || !same_place(&s->forked, o)) continue;
        looked++;
        const struct frame *f = &o->frames[o->own];
        char *text = s->forked.text ? trimmed_line(timeline_source_line(t, f->file, f->line)) : NULL;
        bool same = text && !strcmp(text, s->forked.text);
        free(text);
        if (same && !by_text) out->count = 0; // those by the function alone do not count any more
        by_text |= same;
        if (same == by_text) add_fork(out, &o->frames[o->outside_fork], &e, slept_last(&slept, e.tid));
    }
    slept_release(&slept);
    free(o);
    if (failed) return -1;
    if (!out->count)
        snprintf(why->text, sizeof why->text, "no fork is made in %s%s (%" PRIu64 " elsewhere)",
                 s->forked.function, s->forked.inner_count ? " at the recorded place of the same file" : "",
                 total);
    return 0;
}

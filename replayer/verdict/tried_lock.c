// A trylock leaves nothing behind when it fails, and the words that it looks at (a mutex' kind, a rwlock's readers) are not
// told from others that the loop reads. So the last iterations of the loop are executed once more, with breakpoints on the
// functions that try locks, and on those that give them back: what is tried, is held, and was not given back by the loop
// itself is the lock.
#include "replayer/verdict/tried_lock.h"

#include "replayer/engine/breakpoints.h"
#include "replayer/functions.h"
#include "replayer/stepping.h"

#include <stdlib.h>
#include <string.h>

enum {
    ITERATION_LANDMARKS = 24, // of the task: some iterations of a loop with calls
    SPIN_LANDMARKS = 2,       // between those of a spin are thousands of iterations
    EVENTS_MAX = 4000,        // of all tasks
    TRIES_MAX = 32,           // different locks
    ENOUGH = 64,              // calls for one lock in a slice: a slice may have millions
    OWNER_OFFSET = 8,         // of __owner in pthread_mutex_t
};

static const struct try_function {
    const char *name; // without leading underscores
    bool tries;       // else it gives back
    enum lock_kind kind;
    enum lock_rule rule;
    enum lock_wants wants;
    unsigned char indirect; // the argument's word at this offset is the lock's address; 0: the argument is
} functions[] = {
#define TRIES(function, kind, rule, wants, indirect)                                                         \
    {function, true, KIND_##kind, RULE_##rule, WANTS_##wants, indirect},
#define GIVES_BACK(function, indirect) {function, false, KIND_FUTEX, RULE_NONE, WANTS_LOCK, indirect},
#include "replayer/locks/kinds.def"
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

struct search {
    struct timeline *timeline;
    int tid;
    struct tried {
        uint64_t address;
        const struct try_function *by; // NULL: it was only given back
        bool given_back;
        unsigned calls; // in the slice of `event`
        uint64_t event;
    } all[TRIES_MAX];
    size_t count;
};

static void add_function(void *context, struct replay *r, uint32_t space, uint64_t address,
                         const char *name) {
    (void)context;
    name = stack_plain_name(name);
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (!strcmp(name, functions[i].name)) replay_break_add(r, space, address, 0, i);
}

static void mapped(void *context, struct replay *r, const struct break_mapping *mapping) {
    struct search *s = context;
    functions_mapped(s->timeline, r, mapping, add_function, s);
}

static struct tried *tried_at(struct search *s, uint64_t address) {
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i].address == address) return &s->all[i];
    if (s->count == TRIES_MAX) return NULL;
    s->all[s->count] = (struct tried){.address = address};
    return &s->all[s->count++];
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct search *s = context;
    uint64_t address = hit->regs->rdi;
    if (hit->tid != s->tid || hit->tag >= FUNCTIONS) {
        replay_break_mute(r, hit->space, hit->address);
        return BREAK_EXECUTE;
    }
    const struct try_function *f = &functions[hit->tag];
    if (f->indirect && !replay_space_read(r, hit->space, address + f->indirect, &address, sizeof address))
        return BREAK_EXECUTE;
    struct tried *t = tried_at(s, address);
    if (!t) return BREAK_EXECUTE;
    if (f->tries) t->by = f;
    t->given_back |= !f->tries;
    if (t->event != hit->next_event) t->calls = 0;
    t->event = hit->next_event;
    if (++t->calls > ENOUGH) replay_break_mute(r, hit->space, hit->address);
    return BREAK_EXECUTE;
}

// Is it held, and by another one, where the task is stuck?
static bool is_held(struct analysis *a, const struct waiter *w, const struct tried *t) {
    struct view view;
    struct rf_error ignored;
    uint32_t word = 0, owner = 0;
    int tid = a->history.lives[w->life].tid, inside = a->history.lives[w->life].inside;
    if (replay_view(timeline_replay(a->timeline), tid, &view, &ignored) < 0 ||
        !view.read(view.context, t->address, &word, sizeof word) || !lock_is_held(t->by->rule, word))
        return false;
    return t->by->kind != KIND_MUTEX ||
           !view.read(view.context, t->address + OWNER_OFFSET, &owner, sizeof owner) || (int)owner != inside;
}

static void take(struct waiter *w, const struct tried *t) {
    const struct lock_ref was = w->ref;
    w->ref = (struct lock_ref){.polled = true,
                               .rule = t->by->rule,
                               .kind = t->by->kind,
                               .function = t->by->name,
                               .wants = t->by->wants,
                               .owner = t->by->kind == KIND_MUTEX,
                               .in_fork = was.in_fork,
                               .in_libc = t->by->indirect != 0,
                               .size = 4,
                               .base = t->address,
                               .word = t->address};
}

int tried_lock_resolve(struct analysis *a, struct waiter *w, struct rf_error *err) {
    struct search *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->timeline = a->timeline;
    s->tid = a->history.lives[w->life].tid;
    struct replay *r = timeline_replay(a->timeline);
    const struct break_client client = {.mapped = mapped, .hit = on_hit, .context = s};
    struct event e;
    uint64_t from = w->stuck->event, begin = a->history.lives[w->life].birth;
    int landmarks = w->stuck->wait == WAIT_SPIN ? SPIN_LANDMARKS : ITERATION_LANDMARKS;
    for (int i = 0; i < landmarks; i++) {
        uint64_t before = stepping_landmark(a->timeline, s->tid, from, EVENTS_MAX, &e);
        if (!before || before <= begin) break;
        from = before;
    }
    struct rf_error why, ignored;
    int failed = timeline_seek(a->timeline, from, &why) < 0 || replay_breaks(r, &client, &why) < 0 ||
                 timeline_seek(a->timeline, w->stuck->event, &why) < 0;
    replay_breaks(r, NULL, &ignored);
    if (failed) timeline_reset(a->timeline, &ignored);
    // (A program that reads its own code sees the breakpoints: then it stays unknown.)
    if ((failed && why.status != RF_DIVERGED) || timeline_seek(a->timeline, w->stuck->event, err) < 0) {
        if (failed && why.status != RF_DIVERGED) *err = why;
        free(s);
        return -1;
    }
    for (size_t i = 0; i < s->count && !failed; i++) {
        const struct tried *t = &s->all[i];
        if (!t->by || t->given_back || t->address % 4 || !is_held(a, w, t)) continue;
        take(w, t);
        break;
    }
    free(s);
    return 0;
}

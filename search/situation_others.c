// From the lock history of a run: which locks could be the recorded one, and what their holders call. A lock without a name
// is told by the place alone that takes it, and an object of the same kind has one that is taken there, too.
#include "search/situation_others.h"

#include "replayer/locks/history.h"
#include "replayer/locks/takers.h"
#include "search/slept.h"

#include <stdlib.h>

enum {
    STACKS_MAX = 32, // each is a re-execution
    STACKS_OF_LOCK = 4,
};

struct search {
    const struct situation_run *run;
    struct lock_history *locks;
    int pid, forker;
    unsigned stacks; // looked at
};

static bool is_of(const struct search *s, const struct lock *l, int pid) {
    return l->confirmed && l->space != LOCK_SHARED && s->locks->spaces[l->space].pid == pid;
}

// A process that the other one forked, or one that this one forked.
static bool is_child(const struct search *s, const struct lock *l) {
    const struct lock_space *spaces = s->locks->spaces;
    if (l->space == LOCK_SHARED || spaces[l->space].pid == s->pid) return false;
    for (uint32_t i = l->space; i != LOCK_SHARED; i = spaces[i].parent)
        if (spaces[i].pid == s->pid) return true;
    return false;
}

static bool is_named(struct search *s, uint64_t address) {
    struct view v;
    struct rf_error ignored;
    struct data_symbol symbol;
    return replay_view(timeline_replay(s->run->timeline), s->forker, &v, &ignored) == 0 &&
           symbols_data(timeline_symbols(s->run->timeline), &v, address, &symbol);
}

static int is_place(struct search *s, const struct lock *l, int tid, struct access_at at, bool *there,
                    struct rf_error *err) {
    struct finding_point p = {.event = at.event, .tid = tid};
    if (lock_history_stack(s->run->timeline, l, at, NULL, &p.stack, err) < 0) return -1;
    *there = situation_is_place(s->run, &p);
    free(p.stack.frames);
    return 0;
}

// Was it taken at the recorded place by another task than the forking one?
static int taken_there(struct search *s, uint64_t address, bool *there, struct rf_error *err) {
    const struct lock_words *w = &s->locks->words;
    unsigned stacks = 0;
    *there = false;
    for (size_t i = 0; i < w->op_count && !*there; i++) {
        const struct lock_op *o = &w->ops[i];
        const struct lock *l = &w->locks[o->lock];
        if (o->kind != LOCK_OP_ACQUIRE || l->address != address || o->tid == s->forker || !o->ordinal ||
            !is_of(s, l, s->pid))
            continue;
        if (stacks++ == STACKS_OF_LOCK || s->stacks++ == STACKS_MAX) break;
        if (is_place(s, l, o->tid, (struct access_at){o->event, o->ordinal}, there, err) < 0) return -1;
    }
    return 0;
}

static bool is_in(const uint64_t *list, size_t count, uint64_t address) {
    for (size_t i = 0; i < count; i++)
        if (list[i] == address) return true;
    return false;
}

static int search(struct search *s, const struct situation_other *other, uint64_t *address,
                  struct rf_error *err) {
    const struct lock_words *w = &s->locks->words;
    uint64_t looked[STACKS_MAX];
    size_t looked_count = 0;
    for (size_t i = 0; i < w->op_count && looked_count < STACKS_MAX; i++) {
        const struct lock_op *o = &w->ops[i];
        const struct lock *l = &w->locks[o->lock];
        if ((o->kind != LOCK_OP_ACQUIRE && o->kind != LOCK_OP_WAIT) || !is_child(s, l) ||
            is_in(other->but, other->but_count, l->address) || is_in(looked, looked_count, l->address))
            continue;
        looked[looked_count++] = l->address;
        if (timeline_seek(s->run->timeline, other->at, err) < 0) return -1;
        if (is_named(s, l->address)) continue;
        bool there;
        if (taken_there(s, l->address, &there, err) < 0) return -1;
        if (!there) continue;
        *address = l->address;
        return 0;
    }
    return 0;
}

int situation_find_other(const struct situation_run *r, const struct situation_other *other,
                         uint64_t *address, struct rf_error *err) {
    struct search x = {.run = r, .forker = other->forker};
    const struct lock_history_options options = {.from = 0};
    *address = 0;
    if (timeline_seek(r->timeline, other->at, err) < 0) return -1;
    const struct replay_task *task = replay_task_find(timeline_replay(r->timeline), other->forker);
    if (!task) return 0;
    x.pid = task->pid;
    int failed = lock_history_make(r->timeline, &options, &x.locks, err);
    if (!failed) failed = search(&x, other, address, err);
    lock_history_free(x.locks);
    return failed;
}

// ---- what a holder calls

int situation_park_call(const struct situation_run *r, int32_t *call, struct rf_error *err) {
    struct search x = {.run = r};
    const struct lock_history_options options = {.from = 0};
    *call = -1;
    int failed = lock_history_make(r->timeline, &options, &x.locks, err);
    const struct lock_words *w = failed ? NULL : &x.locks->words;
    for (size_t i = 0; !failed && i < w->span_count && x.stacks < STACKS_MAX; i++) {
        const struct lock_span *span = &w->spans[i];
        const struct lock *l = &w->locks[span->lock];
        bool there;
        bool known = l->confirmed && span->holder.ordinal && !span->holder.inherited;
        int32_t nr = known ? slept_with_lock(r->timeline, span) : -1;
        if (nr < 0) continue;
        x.stacks++;
        failed = is_place(&x, l, span->holder.tid, lock_asked_at(&span->holder), &there, err);
        if (failed || !there) continue;
        *call = nr;
        break;
    }
    lock_history_free(x.locks);
    return failed;
}

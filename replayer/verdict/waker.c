// Nobody holds what the task waits for: a condition, a barrier, a semaphore, a pool. Who would have ended the wait?
// A thread that vanished at a fork is named when something shows that it had to do with this very object: it stood
// there at the fork, the process woke it in vain, it touched the object before, or touches its own copy later.
#include "replayer/verdict/waker.h"

#include "replayer/verdict/cond_signals.h"
#include "replayer/verdict/script_waits.h"
#include "replayer/verdict/thread_reads.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum {
    VANISHED_MAX = 256,
    FRAMES_MAX = 128,
    FIRST_WINDOW = 64, // events
    WINDOW_FACTOR = 16,
    NEAR = 64, // bytes before and behind a futex word that belong to its object
    TASKS_MAX = 128,
    FORMER_LOOK = 20000, // events before the fork
    FORMER_MAX = 64,
};

struct missed {
    size_t life;
    bool waits; // in a futex call at the fork
    struct lock_ref ref;
    struct finding_point point;
    struct finding_task task;
    bool named;
};

struct search {
    struct analysis *a;
    struct waiter *w;
    size_t space; // the child's
    uint64_t fork;
    int forker;
    struct missed *missed;
    size_t count;
};

// Somebody may wait so on purpose, until he is ended: others have ended him, or go on.
static bool may_be_meant(const struct search *s) {
    return s->w->stuck->killed || s->w->stuck->assumed;
}

// ---- who vanished

static void look_at_missed(struct search *s, size_t life) {
    struct analysis *a = s->a;
    const struct life *l = &a->history.lives[life];
    struct missed *m = &s->missed[s->count++];
    struct view view;
    struct rf_error err;
    *m = (struct missed){.life = life};
    case_point(a, l->tid, &m->point);
    case_task(a, life, &m->point.stack, &m->task);
    m->task.vanished = true;
    const struct replay_task *task = replay_task_find(timeline_replay(a->timeline), l->tid);
    m->waits = task && task->in_syscall && task->nr == SYS_futex &&
               replay_view(timeline_replay(a->timeline), l->tid, &view, &err) == 0;
    if (m->waits)
        lock_recognise(m->point.stack.frames, m->point.stack.count, task->args, &view, task->regs.rsp,
                       &m->ref);
}

static int look_at_vanished(struct search *s, struct rf_error *err) {
    const struct history *h = &s->a->history;
    size_t parent = h->spaces[s->space].parent;
    s->fork = h->spaces[s->space].begin;
    s->forker = h->spaces[s->space].forker;
    if (timeline_seek(s->a->timeline, s->fork, err) < 0) return -1;
    s->missed = calloc(VANISHED_MAX, sizeof *s->missed);
    rf_assert(s->missed);
    for (size_t i = 0; i < h->life_count && s->count < VANISHED_MAX; i++)
        if (h->lives[i].space == parent && h->lives[i].tid != s->forker && life_at(&h->lives[i], s->fork))
            look_at_missed(s, i);
    return 0;
}

static void release(struct search *s) {
    for (size_t i = 0; i < s->count; i++)
        free(s->missed[i].point.stack.frames);
    free(s->missed);
    s->missed = NULL;
    s->count = 0;
}

static void name_point(struct search *s, struct missed *m, const struct finding_point *point,
                       const char *what) {
    if (m->named) return;
    m->named = true;
    struct finding_point copy = *point;
    copy.stack = stack_copy(&point->stack);
    case_party(&s->w->wakers, &s->w->waker_count, &m->task, &copy, what);
}

// ---- what they did at the fork

static bool same_object(const struct lock_ref *a, const struct lock_ref *b) {
    return a->base == b->base || (b->base >= a->base && b->base < a->base + a->size);
}

static bool stands_in(const struct missed *m, const char *name, size_t frames) {
    for (size_t i = 0; i < m->point.stack.count && i < frames; i++) {
        const struct frame *f = &m->point.stack.frames[i];
        if ((f->module && !strncmp(f->module, name, strlen(name))) ||
            (f->library && !strncmp(f->library, name, strlen(name))) ||
            (f->function && !strncmp(stack_plain_name(f->function), name, strlen(name))))
            return true;
    }
    return false;
}

// Two that wait for the same condition do not wake each other; at a barrier they do.
static const char *stood_there(const struct search *s, const struct missed *m) {
    const struct lock_ref *ref = &s->w->ref;
    // Somebody may wait so on purpose until he is ended: that such a thread exists is not enough.
    bool may_idle = ref->wants == WANTS_GO || ref->wants == WANTS_POST || ref->wants == WANTS_PARK;
    if (may_be_meant(s) && may_idle) {
        bool pool = script_awaits_answer(&s->w->waiting.stack) && script_is_worker(&m->point.stack);
        return pool ? "is a worker of the pool" : NULL;
    }
    switch (ref->wants) {
    case WANTS_COND_LEAVE:
        return m->waits && same_object(ref, &m->ref)
                   ? "was waiting on it at the fork, and never leaves it in the child"
                   : NULL;
    case WANTS_BARRIER:
        return m->waits && same_object(ref, &m->ref) ? "had arrived at it at the fork, in the parent" : NULL;
    case WANTS_TEAM:
        return stands_in(m, "libgomp.", 4) ? "belongs to the pool, where it was waiting for work at the fork"
                                           : NULL;
    case WANTS_AIO:
        return stands_in(m, ref->kind == KIND_GAI ? "handle_requests" : "handle_fildes_io", FRAMES_MAX)
                   ? "is the helper that carries out such requests"
                   : NULL;
    case WANTS_GO:
        return "is a thread of the Go runtime";
    case WANTS_POST:
        // Condition.wait and Queue.get make a lock of their own, take it and wait for the other's release: no thread
        // has touched it before.
        if (ref->kind != KIND_PYTHON_LOCK || s->w->who.life != s->w->life || s->w->who.fork) return NULL;
        return "may be the one that would wake it";
    case WANTS_PARK:
        return "may be the one that would wake it";
    default:
        return NULL;
    }
}

static void look_at_stands(struct search *s) {
    for (size_t i = 0; i < s->count; i++) {
        struct missed *m = &s->missed[i];
        const char *what = stood_there(s, m);
        if (!what) continue;
        name_point(s, m, &m->point, what);
        s->w->wakers_seen |= s->w->ref.wants == WANTS_COND_LEAVE || s->w->ref.wants == WANTS_BARRIER;
    }
}

// ---- what the child did to wake them

static bool read_near(struct search *s, size_t space, uint64_t at, const struct missed *m, void *bytes) {
    struct view view;
    struct rf_error err;
    uint64_t from = (m->ref.base & ~7ull) - (m->ref.size <= 4 ? 0 : 8);
    int tid = history_task_in(&s->a->history, space, at);
    return tid && replay_view(timeline_replay(s->a->timeline), tid, &view, &err) == 0 &&
           view.read(view.context, from, bytes, NEAR);
}

// Does a task of the child that waits too (a pool that it has made anew) wait for this object? Its own words changed it then.
static bool waits_there_too(const struct search *s, uint64_t base, uint64_t size) {
    const struct analysis *a = s->a;
    for (size_t i = 0; i < a->waiter_count; i++) {
        const struct waiter *w = &a->waiters[i];
        if (w->task.pid == s->w->task.pid && w->ref.base >= base && w->ref.base < base + (size ? size : 1))
            return true;
    }
    return false;
}

// Conditions with different mutexes: who waits for the one need not have to do with the other. (A child that has logged, by a
// thread that it does not have, may well idle.)
static bool is_unrelated(const struct search *s, const struct missed *m) {
    const struct lock_ref *ref = &s->w->ref;
    bool conditions = ref->wants == WANTS_COND && m->ref.wants == WANTS_COND;
    return conditions && ref->mutex && m->ref.mutex && ref->mutex != m->ref.mutex;
}

// The child's copy of what a vanished thread waits on has changed since the fork: it was posted or signalled.
static int look_at_vain(struct search *s, struct rf_error *err) {
    const struct history *h = &s->a->history;
    unsigned char(*before)[NEAR] = calloc(s->count + 1, NEAR), now[NEAR];
    bool *have = calloc(s->count + 1, sizeof *have);
    rf_assert(before && have);
    int failed = timeline_seek(s->a->timeline, s->fork, err);
    for (size_t i = 0; !failed && i < s->count; i++) {
        struct missed *m = &s->missed[i];
        enum lock_wants wants = m->ref.wants;
        bool idle = wants == WANTS_COND || wants == WANTS_POST || wants == WANTS_VALUE;
        bool own = may_be_meant(s) && (waits_there_too(s, m->ref.base, m->ref.size) || is_unrelated(s, m));
        have[i] = m->waits && idle && !own && m->ref.base && read_near(s, s->space, s->fork, m, before[i]);
    }
    size_t space = h->lives[s->w->life].space;
    if (!failed) failed = timeline_seek(s->a->timeline, s->w->stuck->event, err);
    for (size_t i = 0; !failed && i < s->count; i++)
        if (have[i] && read_near(s, space, s->w->stuck->event, &s->missed[i], now) &&
            memcmp(before[i], now, NEAR))
            name_point(s, &s->missed[i], &s->missed[i].point,
                       "was waiting for work at the fork; the child wakes it in vain");
    free(before);
    free(have);
    return failed;
}

// Where a vanished thread slept before, which is at work at the fork: a worker that comes back for more.
struct former_wait {
    size_t missed;
    uint64_t word;
    unsigned char before[NEAR];
};

static bool is_sleep(const struct event *e) {
    bool call = (e->kind == EV_ENTER || e->kind == EV_SYSCALL) && e->nr == SYS_futex && e->flags & EVF_REGS;
    // (2 is what a mutex's word holds while somebody waits for it. With a time limit CPython waits for its interpreter lock.)
    int op = call ? (int)e->regs.rsi & FUTEX_CMD_MASK : -1;
    return (op == FUTEX_WAIT_BITSET || (op == FUTEX_WAIT && e->regs.rdx != 2)) && !e->regs.r10;
}

static int find_former_waits(struct search *s, struct former_wait *all, size_t *count, struct rf_error *err) {
    uint64_t begin = s->a->history.spaces[s->a->history.spaces[s->space].parent].begin, looked = 0;
    struct event e;
    for (uint64_t n = s->fork; n > begin && looked < FORMER_LOOK && *count < FORMER_MAX; n--, looked++) {
        if (timeline_event(s->a->timeline, n, &e, err) < 0) return -1;
        if (!is_sleep(&e)) continue;
        size_t i = 0, k = 0;
        while (i < s->count && s->a->history.lives[s->missed[i].life].tid != e.tid)
            i++;
        while (k < *count && (all[k].missed != i || all[k].word != e.regs.rdi))
            k++;
        if (i == s->count || k < *count || waits_there_too(s, e.regs.rdi & ~63ull, NEAR)) continue;
        all[(*count)++] = (struct former_wait){.missed = i, .word = e.regs.rdi};
    }
    return 0;
}

static int look_at_former_waits(struct search *s, struct rf_error *err) {
    struct former_wait *all = calloc(FORMER_MAX, sizeof *all);
    rf_assert(all);
    size_t count = 0, space = s->a->history.lives[s->w->life].space;
    int failed = find_former_waits(s, all, &count, err);
    if (!failed && count) failed = timeline_seek(s->a->timeline, s->fork, err);
    for (size_t i = 0; !failed && i < count; i++) {
        const struct missed at = {.ref = {.base = all[i].word, .size = 4}};
        if (!read_near(s, s->space, s->fork, &at, all[i].before)) all[i].word = 0;
    }
    if (!failed && count) failed = timeline_seek(s->a->timeline, s->w->stuck->event, err);
    for (size_t i = 0; !failed && i < count; i++) {
        const struct missed at = {.ref = {.base = all[i].word, .size = 4}};
        unsigned char now[NEAR];
        struct missed *m = &s->missed[all[i].missed];
        if (all[i].word && read_near(s, space, s->w->stuck->event, &at, now) && memcmp(all[i].before, now, 4))
            name_point(s, m, &m->point, "is at work at the fork; the child wakes it in vain for more");
    }
    free(all);
    return failed;
}

// ---- who touched it

struct touches {
    const struct search *search;
    bool posts, takes; // count increments, free -> held
    enum lock_rule rule;
    size_t changes;
    struct touch {
        int tid; // 0: none
        struct word_change change;
    } * by;     // per missed thread, the last one; behind them the forker
    bool first; // keep the first one, not the last
    size_t found;
};

static bool on_touch(void *context, const struct word_change *c) {
    struct touches *t = context;
    const struct search *s = t->search;
    uint32_t mask = s->w->ref.mask;
    if (++t->changes > WORD_CHANGES_MAX) return false;
    if (mask && (c->from & mask) == (c->to & mask)) return true;
    if (c->by_kernel || (t->posts && (int32_t)c->to <= (int32_t)c->from) || (t->takes && (c->from || !c->to)))
        return true;
    size_t i = 0;
    while (i < s->count && s->a->history.lives[s->missed[i].life].tid != c->tid)
        i++;
    if (i == s->count && c->tid != s->forker) return true;
    struct touch *by = &t->by[i];
    if (by->tid && t->first) return true;
    if (!by->tid) t->found++;
    *by = (struct touch){c->tid, *c};
    return true;
}

static int name_touch(struct search *s, const struct watched_lock *word, const struct touch *by,
                      struct missed *m, const char *what, struct rf_error *err) {
    struct finding_point point = {.event = by->change.event, .pid = m->task.pid, .tid = by->tid};
    const struct holder who = holder_of_change(&by->change, word->space);
    if (m->named) return 0;
    if (holder_stack(word, &who, &point.stack, NULL, err) < 0) return -1;
    name_point(s, m, &point, what);
    free(point.stack.frames);
    return 0;
}

// The forker itself, in the parent: what it does later it does to its own copy.
static int name_forker(struct search *s, const struct watched_lock *word, const struct touch *by,
                       struct rf_error *err) {
    struct missed forker = {.life = history_life(&s->a->history, s->forker, s->fork)};
    if (forker.life == NONE) return 0;
    if (timeline_seek(s->a->timeline, s->fork, err) < 0) return -1;
    case_task(s->a, forker.life, NULL, &forker.task);
    return name_touch(s, word, by, &forker, "ends such a wait later, but in its own copy: the parent's", err);
}

static int look_after(struct search *s, const struct watched_lock *word, struct touches *t, const char *what,
                      struct rf_error *err) {
    uint64_t last = timeline_last(s->a->timeline);
    t->first = true;
    memset(t->by, 0, (s->count + 1) * sizeof *t->by);
    if (holder_changes(word, (struct event_span){s->fork, last}, on_touch, t, err) < 0) return -1;
    for (size_t i = 0; i < s->count; i++)
        if (t->by[i].tid && name_touch(s, word, &t->by[i], &s->missed[i], what, err) < 0) return -1;
    // The forker's own lock and unlock of a condition's mutex says nothing.
    if (t->by[s->count].tid && !t->takes && !s->w->waker_count)
        return name_forker(s, word, &t->by[s->count], err);
    return 0;
}

static int look_before(struct search *s, const struct watched_lock *word, struct touches *t, const char *what,
                       struct rf_error *err) {
    uint64_t begin = s->a->history.spaces[word->space].begin;
    for (uint64_t window = FIRST_WINDOW; s->count; window *= WINDOW_FACTOR) {
        uint64_t from = s->fork > window && s->fork - window > begin ? s->fork - window : begin;
        t->changes = t->found = 0;
        memset(t->by, 0, (s->count + 1) * sizeof *t->by);
        if (holder_changes(word, (struct event_span){from, s->fork}, on_touch, t, err) < 0) return -1;
        size_t found = t->found - (t->by[s->count].tid != 0);
        if (!found && from != begin) continue;
        for (size_t i = 0; i < s->count; i++)
            if (t->by[i].tid && name_touch(s, word, &t->by[i], &s->missed[i], what, err) < 0) return -1;
        return 0;
    }
    return 0;
}

// Of a child that waits for a condition until it is ended: a vanished thread is missed that signals that very condition.
static int look_at_signals(struct search *s, struct rf_error *err) {
    struct cond_signals all = {0};
    int failed = cond_signals_find(s->a, s->w, s->space, &all, err);
    for (size_t i = 0; !failed && !all.own && i < all.count; i++) {
        const struct cond_signal *c = &all.calls[i];
        for (size_t k = 0; k < s->count; k++)
            if (s->a->history.lives[s->missed[k].life].tid == c->point.tid)
                name_point(s, &s->missed[k], &c->point,
                           c->point.event <= s->fork ? "signalled it before"
                                                     : "signals it later, in the parent");
    }
    cond_signals_free(&all);
    return failed;
}

static int look_at_touches(struct search *s, struct rf_error *err) {
    const struct lock_ref *ref = &s->w->ref;
    struct touches t = {.search = s, .posts = ref->wants == WANTS_POST};
    uint64_t word = ref->word;
    const char *before = "changed it last", *after = "changes it later, in the parent";
    if (ref->wants == WANTS_POST) {
        before = "posted it before";
        after = "posts it later, in the parent";
    } else if (ref->wants == WANTS_COND) {
        // A signal that nobody waits for writes nothing; its mutex is taken all the same.
        if (may_be_meant(s)) return look_at_signals(s, err);
        if (!ref->mutex) return 0;
        word = ref->mutex;
        t.takes = true;
        before = "took the condition's mutex before";
        after = "takes the condition's mutex later, in the parent";
    } else if (ref->wants == WANTS_BARRIER) {
        word = ref->base; // `in`: counts arrivals
        before = "came to the barrier before";
        after = "comes to the barrier later, in the parent";
    } else if (ref->wants != WANTS_VALUE && ref->wants != WANTS_ONCE) {
        return 0;
    }
    t.by = calloc(s->count + 1, sizeof *t.by);
    rf_assert(t.by);
    const struct lock_ref plain = lock_plain_word(word);
    const struct watched_lock watched = case_lock_in(s->a, s->a->history.spaces[s->space].parent, &plain);
    int failed = look_after(s, &watched, &t, after, err);
    if (!failed && !s->w->waker_count) failed = look_before(s, &watched, &t, before, err);
    free(t.by);
    return failed;
}

// What vanished threads say of themselves in their own memory.
static int look_at_reads(struct search *s, struct rf_error *err) {
    const struct lock_ref *ref = &s->w->ref;
    if (ref->wants != WANTS_VALUE || !s->count) return 0;
    int *tids = calloc(s->count, sizeof *tids);
    bool *read = calloc(s->count, sizeof *read);
    rf_assert(tids && read);
    for (size_t i = 0; i < s->count; i++)
        tids[i] = s->a->history.lives[s->missed[i].life].tid;
    int failed = thread_reads_find(s->a, s->w, s->fork, tids, s->count, read, err);
    for (size_t i = 0; i < s->count && !failed; i++)
        if (read[i])
            name_point(s, &s->missed[i], &s->missed[i].point,
                       "what it says in memory of its own is waited for");
    free(tids);
    free(read);
    return failed;
}

// ---- the search

static int search_fork(struct search *s, struct rf_error *err) {
    if (look_at_vanished(s, err) < 0) return -1;
    look_at_stands(s);
    // A script's Event.wait or Queue.get may be how it idles, whatever it has woken before.
    const struct stack *stack = &s->w->waiting.stack;
    if (may_be_meant(s) && script_is_known(stack) && !s->w->waker_count && !script_awaits_answer(stack))
        return 0;
    if (!s->w->waker_count && look_at_vain(s, err) < 0) return -1;
    if (!s->w->waker_count && may_be_meant(s) && look_at_former_waits(s, err) < 0) return -1;
    if (!s->w->waker_count && look_at_touches(s, err) < 0) return -1;
    if (!s->w->waker_count && look_at_reads(s, err) < 0) return -1;
    if (!s->w->waker_count) return 0;
    if (timeline_seek(s->a->timeline, s->fork, err) < 0) return -1;
    free(s->w->fork.stack.frames);
    case_point(s->a, s->forker, &s->w->fork);
    s->w->fork_space = s->space;
    return 0;
}

int wakers_find(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    if (w->shared || w->ref.wants == WANTS_LOCK || w->ref.wants == WANTS_JOIN) return 0;
    for (size_t space = h->lives[w->life].space; h->spaces[space].parent != NONE && !w->waker_count;
         space = h->spaces[space].parent) {
        struct search s = {.a = a, .w = w, .space = space};
        int failed = search_fork(&s, err);
        release(&s);
        if (failed) return -1;
    }
    return 0;
}

// ---- semaphores: a lock, or a signal?

struct balance {
    struct {
        int tid, taken;
    } tasks[TASKS_MAX];
    size_t count, changes;
    int holder;
    bool fresh;        // its life has just begun
    bool posts, gives; // somebody who did not take it; the holder gave it back once
};

// The word may have been something else before (memory from malloc): a change by more than one begins a new life.
static bool on_balance(void *context, const struct word_change *c) {
    struct balance *b = context;
    if (++b->changes > WORD_CHANGES_MAX) return false;
    bool up = c->to == c->from + 1;
    if (!up && c->from != c->to + 1) {
        *b = (struct balance){.holder = b->holder, .changes = b->changes, .fresh = true};
        return true;
    }
    bool made = b->fresh && up && c->sort == WRITE_PLAIN; // sem_init
    b->fresh = false;
    if (made || c->by_kernel) return true;
    size_t i = 0;
    while (i < b->count && b->tasks[i].tid != c->tid)
        i++;
    if (i == TASKS_MAX) return false;
    if (i == b->count) b->tasks[b->count++].tid = c->tid;
    if (!up) {
        b->tasks[i].taken++;
    } else if (b->tasks[i].taken > 0) {
        b->tasks[i].taken--;
        b->gives |= c->tid == b->holder;
    } else {
        b->posts = true;
    }
    return true;
}

int wakers_posts(struct analysis *a, struct waiter *w, struct rf_error *err) {
    struct balance b = {.holder = w->who.tid, .fresh = true};
    const struct lock_ref count = lock_plain_word(w->ref.word);
    const struct watched_lock lock = case_lock_in(a, w->who.space, &count);
    const struct event_span span = {a->history.spaces[w->who.space].begin,
                                    w->who.fork ? w->who.fork : w->stuck->event};
    if (holder_changes(&lock, span, on_balance, &b, err) < 0) return -1;
    w->posts = b.posts && !b.gives;
    return 0;
}

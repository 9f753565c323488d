// All locks that other threads held at the forks of the findings, also those that the children did not come to: from
// the lock history up to the last of these forks, and a little further: a word that was taken for the first time shows
// only then that it is a lock, when the parent frees it or a child waits for it. The history stops at every atomic
// instruction, so it gets a limited time: a verdict is not kept waiting for it.
#include "replayer/verdict/held_at_fork.h"

#include "core/array.h"
#include "replayer/locks/history.h"
#include "replayer/locks/takers.h"
#include "replayer/verdict/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPANS_MAX = 256,
    FORKS_MAX = 16,
    STACKS_MAX = 16, // each is a re-execution
    BUDGET_US = 1500000,
    SHORT =
        20000, // events before the forks (never by checkpoints: where those are depends on the machine's load)
    AFTER = 2000,
    AFTER_US = 100000, // of computing: a slice may be long
};

// The finding about the lock; NULL.
static const struct finding *wanted_by(const struct verdict *v, uint64_t address, uint64_t fork) {
    for (size_t i = 0; i < v->count; i++)
        if (v->findings[i].lock.address == address && v->findings[i].fork.event == fork)
            return &v->findings[i];
    return NULL;
}

static int add(struct analysis *a, const struct lock_history *locks, const struct lock_span *span,
               size_t child, struct rf_error *err) {
    const struct history *h = &a->history;
    const struct lock *lock = &locks->words.locks[span->lock];
    uint64_t fork = h->spaces[child].begin;
    size_t life = history_life(h, span->holder.tid, fork);
    int forker = h->spaces[child].forker;
    if (lock->space == LOCK_SHARED || span->holder.tid == forker || life == NONE) return 0;
    const struct lock_ref ref = {
        .kind = lock_family_kind(lock->family), .base = lock->last_address, .size = 4};
    const struct finding *wanted = wanted_by(a->verdict, lock->last_address, fork);
    struct held_lock held = {.fork = fork, .child = h->spaces[child].pid, .wanted = wanted != NULL};
    if (a->verdict->held_count < STACKS_MAX &&
        lock_history_stack(a->timeline, lock, lock_asked_at(&span->holder), NULL, &held.acquired.stack, err) <
            0)
        return -1;
    held.acquired.event = span->holder.asked;
    held.acquired.tid = span->holder.tid;
    held.acquired.pid = h->lives[life].pid;
    if (timeline_seek(a->timeline, fork, err) < 0) {
        free(held.acquired.stack.frames);
        return -1;
    }
    if (wanted)
        held.lock = wanted->lock; // who waits for it tells more of its kind
    else
        text_lock(a->timeline, h, forker, &ref, &held.lock);
    case_task(a, life, &held.acquired.stack, &held.holder);
    held.holder.vanished = true;
    array_push(a->verdict->held_at_fork, a->verdict->held_count, held);
    return 0;
}

// What the findings know: the history is not sure of a word that nobody has freed yet, or waited for in the kernel.
static void add_findings(struct verdict *v) {
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        bool known = !f->fork.event || !f->lock.address || !f->holder.vanished || f->lock.is_data;
        for (size_t k = 0; k < v->held_count && !known; k++)
            known = v->held_at_fork[k].fork == f->fork.event &&
                    v->held_at_fork[k].lock.address == f->lock.address;
        if (known) continue;
        struct held_lock held = {.lock = f->lock,
                                 .holder = f->holder,
                                 .acquired = f->acquired,
                                 .fork = f->fork.event,
                                 .child = f->waiter.pid,
                                 .wanted = true};
        held.acquired.stack = stack_copy(&f->acquired.stack);
        array_push(v->held_at_fork, v->held_count, held);
    }
}

static int look_at_fork(struct analysis *a, const struct lock_history *locks, size_t child,
                        struct rf_error *err) {
    const struct history *h = &a->history;
    struct lock_span *spans = calloc(SPANS_MAX, sizeof *spans);
    rf_assert(spans);
    size_t n = lock_history_held(locks, h->spaces[child].begin, h->spaces[h->spaces[child].parent].pid, spans,
                                 SPANS_MAX);
    int failed = 0;
    for (size_t i = 0; i < n && i < SPANS_MAX && !failed; i++)
        failed = add(a, locks, &spans[i], child, err);
    free(spans);
    return failed;
}

// The child's spaces of the findings' forks, each once.
static size_t forks_of(const struct analysis *a, size_t *children) {
    const struct history *h = &a->history;
    size_t count = 0;
    for (size_t i = 0; i < h->space_count && count < FORKS_MAX; i++) {
        bool any = false;
        for (size_t k = 0; k < a->verdict->count; k++)
            any |= a->verdict->findings[k].fork.event == h->spaces[i].begin;
        if (any && h->spaces[i].parent != NONE) children[count++] = i;
    }
    return count;
}

// How far behind a fork it is worth looking.
static uint64_t end_of_look(struct analysis *a, uint64_t fork) {
    uint64_t end = fork, before = 0, computed = 0;
    struct event e;
    struct rf_error ignored;
    while (end < fork + AFTER && end < timeline_last(a->timeline) && computed < AFTER_US) {
        if (timeline_event(a->timeline, ++end, &e, &ignored) < 0) break;
        if (before && (e.kind == EV_TICK || e.kind == EV_STATE)) computed += e.time_us - before;
        before = e.time_us;
    }
    return end;
}

int held_history(struct analysis *a, uint64_t first, uint64_t last, const struct lock_history **out,
                 struct rf_error *err) {
    const struct lock_history_options options = {.from = first > SHORT ? first - SHORT : 0,
                                                 .to = end_of_look(a, last)};
    if (!a->locks || a->locks->from > options.from || a->locks->to < options.to) {
        lock_history_free(a->locks);
        a->locks = NULL;
        if (lock_history_make(a->timeline, &options, &a->locks, err) < 0) return -1;
    }
    *out = a->locks;
    return 0;
}

int held_fill(struct analysis *a, struct rf_error *err) {
    size_t children[FORKS_MAX], count = forks_of(a, children);
    if (!count) return 0;
    uint64_t first = a->history.spaces[children[0]].begin;
    const struct lock_history *locks = NULL;
    timeline_set_budget(a->timeline, BUDGET_US);
    int failed = held_history(a, first, a->history.spaces[children[count - 1]].begin, &locks, err);
    for (size_t i = 0; i < count && !failed; i++)
        failed = look_at_fork(a, locks, children[i], err);
    bool late = timeline_set_budget(a->timeline, 0);
    add_findings(a->verdict);
    // Without it the verdict is as good.
    if (failed && late) {
        verdict_note(
            a->verdict,
            "Which other locks were held at the fork was not looked at to the end: that takes longer here. "
            "'refork locks --around fork' shows them.");
        return 0;
    }
    if (failed && err->status == RF_DIVERGED) {
        verdict_note(
            a->verdict,
            "Which other locks were held at the fork cannot be shown: the program does something else with "
            "breakpoints in it (it may read its own code). The verdict does not rest on them.");
        return 0;
    }
    if (!failed && locks->from)
        verdict_note(
            a->verdict,
            "Which other locks were held at the fork is known of those that were taken after event %lu. "
            "'refork locks --at %lu' shows all.",
            (long)locks->from, (long)first);
    return failed;
}

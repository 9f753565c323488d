// Findings from waits: orphans, cycles, waits for stuck processes, and what is left. One finding per lock,
// causes first.
#include "replayer/verdict/findings.h"

#include "core/array.h"
#include "replayer/verdict/advice.h"
#include "replayer/verdict/dead_holder.h"
#include "replayer/verdict/idle_threads.h"
#include "replayer/verdict/killed_waiter.h"
#include "replayer/verdict/other_process.h"
#include "replayer/verdict/text.h"

#include <stdlib.h>
#include <string.h>

// ---- orphans

static void make_orphan(struct analysis *a, struct waiter *w) {
    if (!w->who.fork || w->shared || w->posts || w->releasable) return;
    bool ended = w->who.tid && !w->holder_lives;
    // 1 -> 0 may have been the last permit that was used up, not a lock that was taken.
    bool permit = w->ref.wants == WANTS_POST && !w->who.tid;
    // Of a bare word only who took it says that it is a lock at all.
    if (ended || permit || (w->ref.bare && !w->who.tid)) return;
    enum finding_kind kind = w->child_handler  ? FINDING_ATFORK_CHILD
                             : w->holder_forks ? FINDING_SELF_HELD
                             : w->ref.polled   ? FINDING_ORPHANED_SPIN
                                               : FINDING_ORPHANED_LOCK;
    struct finding *f = case_add(a, w, kind, RANK_CAUSE);
    case_add_holder(f, w);
    case_add_fork(f, w);
    if (!w->who.tid) f->confidence = CONFIDENCE_LIKELY;
    if (w->child_handler)
        text_reason_child_handler(f);
    else if (w->who.tid && w->facts.foreign_stack && !stack_is_whole(&f->acquired.stack))
        text_reason_fiber(f);
    else if (w->ref.kind == KIND_GIL && w->who.tid)
        text_reason_gil(f);
    else if (w->ref.kind == KIND_GSCOPE && w->who.tid)
        text_reason_gscope(f);
    advice_give(f,
                !w->who.tid        ? ADVICE_NOT_SEEN
                : w->child_handler ? ADVICE_CHILD_HANDLER
                : w->holder_forks  ? ADVICE_FORKER
                                   : ADVICE_ORPHAN,
                &w->ref, case_explain(a, w));
}

// ---- nobody holds anything

static void make_waker(struct analysis *a, struct waiter *w) {
    if (!w->waker_count || w->ended_wakers || w->explained || w->shared ||
        case_is_explained(a, w->task.pid, w))
        return;
    enum finding_kind kind = w->child_handler ? FINDING_ATFORK_CHILD
                             : w->ref.polled  ? FINDING_ORPHANED_SPIN
                                              : FINDING_VANISHED_WAKER;
    struct finding *f = case_add(a, w, kind, RANK_CAUSE);
    case_parties(&f->wakers, &f->waker_count, w->wakers, w->waker_count);
    case_add_fork(f, w);
    if (!w->wakers_seen) f->confidence = CONFIDENCE_LIKELY;
    text_reason_waker(f, &w->ref);
    advice_give(f, ADVICE_WAKER, &w->ref, case_explain(a, w));
}

// The task that the recorder named first; one finding of this sort says enough about a process.
static void make_wakers(struct analysis *a) {
    for (int main = 1; main >= 0; main--)
        for (size_t i = 0; i < a->waiter_count; i++)
            if (a->waiters[i].first == &a->waiters[i] && a->waiters[i].stuck->main == main &&
                !a->waiters[i].stuck->beside)
                make_waker(a, &a->waiters[i]);
}

// While others go on, only of what is known to be missed: the vanished thread that would have ended this very wait. The child's parent
// asks for its end, and no other thread of the child, nor a signal's handler, comes to where it would wake somebody.
static int make_waker_beside_idle(struct analysis *a, struct waiter *w, struct rf_error *err) {
    if (w->ref.wants == WANTS_LOCK || !w->waker_count || w->shared || w->handlers != HANDLER_CANNOT ||
        (!w->stuck->killed && !history_asked_for(&a->history, w->life)))
        return 0;
    if (timeline_seek(a->timeline, w->stuck->event, err) < 0) return -1;
    if (!idle_threads_wake_nobody(a, w)) return 0;
    size_t before = a->verdict->count;
    make_waker(a, w);
    if (a->verdict->count > before) a->verdict->findings[before].confidence = CONFIDENCE_LIKELY;
    return 0;
}

static int make_wakers_beside_idle(struct analysis *a, struct rf_error *err) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].first == &a->waiters[i] &&
            (a->waiters[i].stuck->assumed || a->waiters[i].stuck->beside) &&
            make_waker_beside_idle(a, &a->waiters[i], err) < 0)
            return -1;
    return 0;
}

// ---- cycles

static struct waiter *wait_of(struct analysis *a, size_t life) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].life == life) return &a->waiters[i];
    return NULL;
}

// What the holder of w's lock waits for itself.
static struct waiter *next_of(struct analysis *a, const struct waiter *w) {
    const struct waiter *f = w->first;
    bool known = f->futex && f->searched && f->who.tid && !f->who.fork && !f->posts && !f->releasable;
    struct waiter *next = known ? wait_of(a, f->who.life) : NULL;
    // A loop that polls for something else may take a lock, and free it, in each turn: tests/programs/rare_locks.c.
    return next == w && w->stuck->wait == WAIT_YIELD && !w->stuck->proved ? NULL : next;
}

static void add_edge(struct finding *f, const struct waiter *w) {
    struct finding_edge *e = array_add(f->edges, f->edge_count);
    const struct waiter *holder = w->first;
    *e = (struct finding_edge){.lock = w->lock,
                               .holder = holder->holder,
                               .waiter = w->task,
                               .acquired = holder->acquired,
                               .waiting = w->waiting};
    e->acquired.stack = stack_copy(&holder->acquired.stack);
    e->waiting.stack = stack_copy(&w->waiting.stack);
}

// The handler that w waits in, when it began while w's task held the lock already; NULL.
static const struct handler_run *interrupting(const struct analysis *a, const struct waiter *w) {
    const struct life *l = &a->history.lives[w->life];
    const struct holder *who = &w->first->who;
    if (who->life != w->life) return NULL;
    for (unsigned i = l->handler_count < HANDLERS ? l->handler_count : HANDLERS; i-- > 0;)
        if (l->handlers[i].event >= who->event) return &l->handlers[i];
    return NULL;
}

static void make_cycle(struct analysis *a, struct waiter *in) {
    // It is told from the side of fork(), else from the one that the recorder named.
    struct waiter *from = in, *w = in;
    do {
        bool better =
            w->ref.in_fork != from->ref.in_fork ? w->ref.in_fork : w->stuck->main && !from->stuck->main;
        if (better) from = w;
    } while ((w = next_of(a, w)) != in);
    bool atfork = from->ref.in_fork;
    const struct handler_run *handler = interrupting(a, from);
    enum finding_kind kind = handler  ? FINDING_SIGNAL_HANDLER
                             : atfork ? FINDING_ATFORK_DEADLOCK
                                      : FINDING_LOCK_CYCLE;
    struct finding *f = case_add(a, from, kind, RANK_CAUSE);
    case_add_holder(f, from->first);
    size_t more = case_explain(a, from);
    for (w = next_of(a, from); w != from; w = next_of(a, w)) {
        add_edge(f, w);
        if (w->first->doubtful || !w->proved) f->confidence = CONFIDENCE_LIKELY;
        more += case_explain(a, w);
    }
    // Of a bare word the waiter's own mark may look like an acquire.
    if (!f->edge_count && from->ref.bare) f->confidence = CONFIDENCE_LIKELY;
    const struct space_life *space = &a->history.spaces[a->history.lives[from->life].space];
    if (handler)
        text_reason_handler(f, handler->signal, &from->ref);
    else if (!atfork)
        text_reason_cycle(f, space->parent == NONE ? 0 : space->pid);
    enum advice which = handler         ? ADVICE_HANDLER
                        : atfork        ? f->edge_count ? ADVICE_ATFORK : ADVICE_ATFORK_SELF
                        : f->edge_count ? ADVICE_CYCLE
                                        : ADVICE_SELF;
    advice_give(f, which, &from->ref, more);
}

static void make_cycles(struct analysis *a) {
    int mark = 0;
    for (size_t i = 0; i < a->waiter_count; i++) {
        mark++;
        if (a->waiters[i].stuck->guessed) continue;
        struct waiter *w = &a->waiters[i];
        while (w && !w->mark) {
            w->mark = mark;
            w = next_of(a, w);
        }
        if (w && w->mark == mark) make_cycle(a, w);
    }
}

// ---- the rest

// A process with a finding needs no more: its other threads wait for what hangs, or idle. Of one without, the
// wait that says most: for a lock whose holder is known, else the one that the recorder named.
static bool joins_a_waiter(const struct analysis *a, const struct waiter *w) {
    for (size_t i = 0; w->joins && i < a->waiter_count; i++)
        if (a->waiters[i].task.tid == w->joins && a->waiters[i].task.pid == w->task.pid) return true;
    return false;
}

static void tell_joiners(const struct analysis *a, struct finding *f) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].joins == f->waiter.tid && a->waiters[i].task.pid == f->waiter.pid)
            text_reason_joined(f, &a->waiters[i].task);
}

// It waits for ever, whatever the reason is.
static bool is_known(const struct waiter *w) {
    return !w->stuck->guessed && !w->stuck->killed && !w->stuck->assumed;
}

static void make_unknown(struct analysis *a) {
    for (size_t i = 0; i < a->waiter_count; i++) {
        int pid = a->waiters[i].task.pid;
        if (!is_known(&a->waiters[i]) || case_is_explained(a, pid, NULL)) continue;
        struct waiter *best = &a->waiters[i];
        for (size_t k = 0; k < a->waiter_count; k++) {
            struct waiter *w = &a->waiters[k];
            if (w->task.pid != pid) continue;
            // Who waits for the end of a thread that hangs itself is not where it began.
            bool follows = joins_a_waiter(a, w), best_follows = joins_a_waiter(a, best);
            if (follows != best_follows) {
                if (best_follows) best = w;
                continue;
            }
            bool known = w->first->who.tid, best_known = best->first->who.tid;
            if (known != best_known ? known : w->stuck->main && !best->stuck->main) best = w;
        }
        const struct waiter *first = best->first;
        // fork() waits for somebody who waits for something else than a lock: fflush(NULL) for a blocked reader.
        bool in_fork = best->ref.in_fork && first->who.tid && first->holder_lives && !first->who.fork;
        bool holder = first->who.tid && !first->posts, dead = holder && !first->holder_lives && !in_fork;
        enum finding_kind kind = in_fork ? FINDING_ATFORK_DEADLOCK
                                 : dead  ? FINDING_DEAD_HOLDER
                                         : FINDING_UNKNOWN_WAIT;
        struct finding *f = case_add(a, best, kind, dead ? RANK_CAUSE : RANK_UNKNOWN);
        if (holder) case_add_holder(f, first);
        case_add_fork(f, first);
        enum advice which = best->shared           ? ADVICE_SHARED
                            : in_fork              ? ADVICE_FORK_HELD
                            : !holder              ? ADVICE_UNKNOWN
                            : !first->holder_lives ? ADVICE_ENDED
                                                   : ADVICE_HELD;
        if (dead) {
            f->end = dead_end(a, 0, first->who.tid, first->who.event, best->stuck->event);
            text_reason_dead(f, &best->ref);
        }
        bool ended = first->ended_wakers && !in_fork;
        if (ended) {
            f->kind = FINDING_DEAD_HOLDER;
            f->confidence = CONFIDENCE_LIKELY;
            case_parties(&f->wakers, &f->waker_count, first->wakers, first->waker_count);
            f->end =
                dead_end(a, 0, first->wakers[0].task.tid, first->wakers[0].point.event, best->stuck->event);
            text_reason_ended_thread(f);
            which = ADVICE_ENDED_THREAD;
        }
        tell_joiners(a, f);
        advice_give(f, which, &best->ref, case_explain(a, best));
    }
}

// ---- order, spans

// A wait for a process that only waits for a third one comes behind that one's.
static void rank_consequences(struct analysis *a) {
    size_t count = a->verdict->count;
    for (size_t i = 0; i < count; i++) {
        int child = a->order[i].child;
        for (size_t hops = 0; child && hops < count; hops++) { // TIDs may be reused: no circles
            int next = 0;
            for (size_t k = 0; k < count; k++)
                if (a->verdict->findings[k].waiter.pid == child && a->order[k].child)
                    next = a->order[k].child;
            if ((child = next)) a->order[i].rank++;
        }
    }
}

static bool goes_before(const struct analysis *a, size_t x, size_t y) {
    const struct order *p = &a->order[x], *q = &a->order[y];
    if (p->rank != q->rank) return p->rank < q->rank;
    if (p->main != q->main) return p->main;
    return a->verdict->findings[x].waiting.event < a->verdict->findings[y].waiting.event;
}

static void sort(struct analysis *a) {
    struct verdict *v = a->verdict;
    rank_consequences(a);
    for (size_t i = 1; i < v->count; i++)
        for (size_t k = i; k > 0 && goes_before(a, k, k - 1); k--) {
            struct finding f = v->findings[k];
            struct order o = a->order[k];
            v->findings[k] = v->findings[k - 1];
            a->order[k] = a->order[k - 1];
            v->findings[k - 1] = f;
            a->order[k - 1] = o;
        }
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = v->count; a->order[i].child && k-- > 0;)
            if (k != i && v->findings[k].waiter.pid == a->order[i].child)
                v->findings[i].caused_by = &v->findings[k];
}

static void add_span(struct verdict *v, const struct waiter *w, int pid, bool ghost, uint64_t from,
                     uint64_t to) {
    struct held_span *s = array_add(v->spans, v->span_count);
    *s = (struct held_span){
        .lock = w->lock.address, .tid = w->who.tid, .pid = pid, .ghost = ghost, .from = from, .to = to};
    snprintf(s->symbol, sizeof s->symbol, "%.63s", w->lock.symbol);
}

static int add_spans(struct analysis *a, const struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    const struct life *holder = &h->lives[w->who.life];
    uint64_t to = 0;
    if (w->who.fork && !w->shared) {
        const struct watched_lock lock = case_lock_in(a, w->who.space, &w->ref);
        if (holder_release(&lock, w->who.fork, &to, err) < 0) return -1;
        if (!to) to = holder->death;
    }
    if (w->lock.address) add_span(a->verdict, w, holder->pid, false, w->who.event, to);
    // Each address space between the holder's and the waiter's has a copy that nobody can release.
    for (size_t space = h->lives[w->life].space;
         w->who.fork && !w->shared && space != w->who.space && space != NONE; space = h->spaces[space].parent)
        add_span(a->verdict, w, h->spaces[space].pid, true, h->spaces[space].begin, 0);
    return 0;
}

static bool in_a_finding(const struct verdict *v, const struct waiter *w) {
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        if (f->waiter.tid == w->task.tid && f->holder.tid) return true;
        for (size_t k = 0; k < f->edge_count; k++)
            if (f->edges[k].waiter.tid == w->task.tid) return true;
    }
    return false;
}

// Nobody has seen that a guessed wait lasts for ever.
static void lower_guesses(struct analysis *a) {
    for (size_t i = 0; i < a->waiter_count; i++)
        for (size_t k = 0; a->waiters[i].stuck->guessed && k < a->verdict->count; k++)
            if (a->verdict->findings[k].waiter.tid == a->waiters[i].task.tid)
                a->verdict->findings[k].confidence = CONFIDENCE_LIKELY;
}

// Of a guessed wait, and of one whose process others ended, that is known only when a finding says who would have to end
// it and does not exist: all of its process waited without an end.
static bool is_deadlock(const struct analysis *a) {
    for (size_t i = 0; i < a->waiter_count; i++) {
        const struct waiter *w = &a->waiters[i];
        if (is_known(w) || (w->explained && (w->stuck->killed || a->history.ended))) return true;
    }
    return false;
}

int findings_make(struct analysis *a, struct rf_error *err) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].first == &a->waiters[i]) make_orphan(a, &a->waiters[i]);
    make_cycles(a);
    // Others go on: a signal, a word, another process may yet end most of what nobody holds.
    bool assumed = a->waiter_count && a->waiters[0].stuck->assumed;
    if (!assumed) make_wakers(a);
    if (make_wakers_beside_idle(a, err) < 0) return -1;
    if (!assumed && other_process_findings(a, err) < 0) return -1;
    make_unknown(a);
    sort(a);
    if (killed_fill(a, err) < 0) return -1;
    lower_guesses(a);
    a->verdict->deadlock = assumed ? a->verdict->count : is_deadlock(a);
    if (assumed) return 0;
    for (size_t i = 0; i < a->waiter_count; i++) {
        const struct waiter *w = &a->waiters[i], *first = w->first;
        bool done = false;
        for (size_t k = 0; k < i; k++)
            done |= a->waiters[k].first == first && in_a_finding(a->verdict, &a->waiters[k]);
        if (!done && first->who.tid && in_a_finding(a->verdict, w) && add_spans(a, first, err) < 0) return -1;
    }
    return 0;
}

// The verdict on what is waited for. Of a lock that names its owner, the owner decides: it does not exist here, or it waits
// in turn. Of others only this: that all threads of the process wait, so that nobody is left to end it.
#include "replayer/diagnose/findings.h"

#include "core/array.h"
#include "replayer/verdict/advice.h"
#include "replayer/diagnose/live.h"
#include "replayer/diagnose/proc.h"
#include "replayer/diagnose/threads.h"
#include "replayer/diagnose/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct stack copy(const struct stack *s) {
    struct stack c = {0};
    if (!s->count) return c;
    c.frames = malloc(s->count * sizeof *c.frames);
    rf_assert(c.frames);
    memcpy(c.frames, s->frames, s->count * sizeof *c.frames);
    c.count = s->count;
    return c;
}

static struct finding_point point(const struct wait *w) {
    return (struct finding_point){.pid = w->task.pid, .tid = w->task.tid, .stack = copy(&w->stack)};
}

static struct finding *add(struct diagnosis *d, struct party *p, const struct wait *w, enum finding_kind kind,
                           bool proved) {
    struct verdict *v = d->verdict;
    struct finding *f = array_add(v->findings, v->count);
    *f = (struct finding){.kind = kind,
                          .confidence =
                              proved && !p->snapshot->handlers ? CONFIDENCE_PROVED : CONFIDENCE_LIKELY,
                          .lock = w->lock,
                          .waiter = w->task,
                          .waiting = point(w)};
    p->covered = true;
    return f;
}

// Is it still so, now that the threads run again?
static bool still_waits(const struct party *p, const struct wait *w) {
    return w->spins || snapshot_still_waits(p->snapshot, (size_t)(w - p->waits));
}

static bool is_untimed(const struct wait *w) {
    return w->in_futex && !w->timed && !w->shared;
}

// Marks all that wait for the lock of `w` as explained; returns how many there are beside it.
static size_t explain(struct party *p, struct wait *w) {
    size_t more = 0;
    for (size_t i = 0; i < p->snapshot->thread_count; i++) {
        struct wait *o = &p->waits[i];
        if (!o->in_futex || o->ref.base != w->ref.base) continue;
        more += o != w && !o->explained;
        o->explained = true;
    }
    return more;
}

// ---- locks whose owner is no thread of this process

// The kernel clears the TID of a thread that ends. One that is still there belongs to a thread that _Fork, which resets
// nothing, left behind.
static bool was_left_behind(const struct party *p, int tid) {
    for (size_t i = 0; i < p->tcb_count; i++)
        if (p->tcbs[i].tid == tid && !p->tcbs[i].exiting) return true;
    return false;
}

static void make_orphan(struct diagnosis *d, struct party *p, struct wait *w) {
    const struct snapshot *s = p->snapshot;
    if (w->explained || !is_untimed(w) || !w->owner || w->owner_thread != NO_THREAD) return;
    // Somebody else runs in this memory, or not all threads were seen: the owner may be there.
    if (!s->alone || !s->complete || !still_waits(p, w)) return;
    struct finding_task holder;
    bool ancestor = threads_ancestor(d, p, w->owner, &holder);
    // The core's parent is known by its PID only; its first thread has that number as well.
    bool forker = w->owner == p->forker || (s->core && w->owner == s->parent);
    bool orphan = ancestor || forker || p->vanished || was_left_behind(p, w->owner);
    enum finding_kind kind = forker   ? FINDING_SELF_HELD
                             : orphan ? FINDING_ORPHANED_LOCK
                                      : FINDING_DEAD_HOLDER;
    struct finding *f = add(d, p, w, kind, ancestor || w->owner == p->forker);
    f->holder = holder;
    f->holder_is_forker = forker;
    f->holder.vanished = orphan && !forker;
    if (ancestor)
        snprintf(f->reason, sizeof f->reason,
                 "The lock names thread %d as its owner. Process %d has no such thread. Process %d, an "
                 "ancestor of it, has: '%s', which is older than process %d.",
                 w->owner, s->pid, holder.pid, holder.name, s->pid);
    else
        snprintf(f->reason, sizeof f->reason,
                 "The lock names thread %d as its owner. Process %d has no such thread%s.", w->owner, s->pid,
                 s->core ? "" : ", and no living ancestor of it has");
    threads_tell_vanished(d, p, f);
    advice_give(f, forker ? ADVICE_FORKER : orphan ? ADVICE_ORPHAN : ADVICE_ENDED, &w->ref, explain(p, w));
}

// ---- locks in memory that processes share, whose owner is nowhere

// A TID that is reused makes it look alive: then nothing is said.
static bool lives_somewhere(int tid) {
    struct proc_task t;
    return proc_task(tid, &t) && t.state != 'Z' && t.state != 'X';
}

static void make_dead(struct diagnosis *d, struct party *p, struct wait *w) {
    const struct snapshot *s = p->snapshot;
    if (w->explained || !w->in_futex || w->timed || !w->shared || !w->owner) return;
    // A core says nothing of others, and in a PID namespace of its own a TID is somebody else's here.
    if (s->core || s->inside != s->pid || w->owner_thread != NO_THREAD || lives_somewhere(w->owner) ||
        !still_waits(p, w))
        return;
    struct finding *f = add(d, p, w, FINDING_DEAD_HOLDER, false);
    f->holder.tid = w->owner;
    snprintf(
        f->reason, sizeof f->reason,
        "The lock is in memory that processes share. It names task %d as its owner, and there is no such "
        "task on this machine: it has ended, or was killed, while it held the lock. (Likely, not proved: "
        "one in another container may have that number.)",
        w->owner);
    advice_give(f, ADVICE_SHARED, &w->ref, explain(p, w));
}

// ---- cycles

static struct wait *next_of(struct party *p, const struct wait *w) {
    if (!is_untimed(w) || w->owner_thread == NO_THREAD) return NULL;
    struct wait *owner = &p->waits[w->owner_thread];
    return is_untimed(owner) ? owner : NULL;
}

static void add_edge(struct finding *f, const struct wait *w, const struct wait *owner) {
    array_push(f->edges, f->edge_count,
               (struct finding_edge){
                   .lock = w->lock, .holder = owner->task, .waiter = w->task, .waiting = point(w)});
}

static void make_cycle(struct diagnosis *d, struct party *p, struct wait *in) {
    struct wait *from = in, *w = in;
    do {
        if (!still_waits(p, w)) return;
        if (w->ref.in_fork && !from->ref.in_fork) from = w; // told from the side of fork()
    } while ((w = next_of(p, w)) != in);
    const struct frame *handler, *interrupted;
    const bool in_handler =
        next_of(p, from) == from && stack_in_handler(&from->stack, &handler, &interrupted);
    struct finding *f = add(d, p, from,
                            in_handler          ? FINDING_SIGNAL_HANDLER
                            : from->ref.in_fork ? FINDING_ATFORK_DEADLOCK
                                                : FINDING_LOCK_CYCLE,
                            true);
    f->holder = p->waits[from->owner_thread].task;
    size_t more = explain(p, from);
    for (w = next_of(p, from); w != from; w = next_of(p, w)) {
        add_edge(f, w, &p->waits[w->owner_thread]);
        more += explain(p, w);
    }
    if (in_handler) text_reason_handler(f, 0, &from->ref);
    advice_give(f,
                in_handler                            ? ADVICE_HANDLER
                : from->ref.in_fork && !f->edge_count ? ADVICE_ATFORK_SELF
                : from->ref.in_fork                   ? ADVICE_ATFORK
                : f->edge_count                       ? ADVICE_CYCLE
                                                      : ADVICE_SELF,
                &from->ref, more);
}

static void make_cycles(struct diagnosis *d, struct party *p) {
    int mark = 0;
    for (size_t i = 0; i < p->snapshot->thread_count; i++) {
        mark++;
        struct wait *w = &p->waits[i];
        while (w && !w->mark) {
            w->mark = mark;
            w = next_of(p, w);
        }
        if (w && w->mark == mark) make_cycle(d, p, w);
    }
}

// ---- a process in which nobody is left

static int says_more(const struct party *p, const struct wait *w) {
    return (w->spins ? 8 : 0) + (w->held ? 4 : 0) + (w->owner ? 2 : 0) + (w->task.tid == p->snapshot->pid);
}

// 1 -> 0 of a semaphore may have used the last permit up, a bare word need not be a lock, and what a signal interrupted may
// hold the lock itself.
static enum finding_kind kind_of_rest(const struct party *p, const struct wait *w) {
    if (!p->vanished || w->owner_thread != NO_THREAD || w->signal_handler) return FINDING_UNKNOWN_WAIT;
    if (w->spins) return FINDING_ORPHANED_SPIN;
    if (w->held && w->ref.wants == WANTS_LOCK && w->ref.rule != RULE_SEMAPHORE && !w->ref.bare)
        return FINDING_ORPHANED_LOCK;
    return w->ref.wants == WANTS_LOCK || w->ref.wants == WANTS_JOIN ? FINDING_UNKNOWN_WAIT
                                                                    : FINDING_VANISHED_WAKER;
}

static void make_rest(struct diagnosis *d, struct party *p) {
    const struct snapshot *s = p->snapshot;
    // A handler could post a semaphore: then only the child of a threaded process is told of, as the recorder
    // does it.
    if (p->covered || !p->closed || (s->handlers && !p->vanished)) return;
    struct wait *best = &p->waits[0];
    for (size_t i = 0; i < s->thread_count; i++) {
        if (!still_waits(p, &p->waits[i])) return;
        if (says_more(p, &p->waits[i]) > says_more(p, best)) best = &p->waits[i];
    }
    enum finding_kind kind = kind_of_rest(p, best);
    bool left_behind = kind != FINDING_UNKNOWN_WAIT; // who is missed cannot be known
    // Nobody will end the wait of a program that idles until it is killed either (sem_wait for what never comes, as
    // others call pause). Nobody idles at a lock that is held.
    bool idles = !left_behind && !best->spins && (best->ref.wants != WANTS_LOCK || !best->held);
    struct finding *f = add(d, p, best, kind, !left_behind && !best->spins && !idles);
    if (best->owner_thread != NO_THREAD) f->holder = p->waits[best->owner_thread].task;
    if (kind == FINDING_VANISHED_WAKER) text_reason_waker(f, &best->ref);
    size_t used = strlen(f->reason);
    snprintf(f->reason + used, sizeof f->reason - used,
             "%sEvery thread of process %d waits for something that only a thread of that process could do.",
             used ? " " : "", s->pid);
    used = strlen(f->reason);
    if (idles)
        snprintf(f->reason + used, sizeof f->reason - used,
                 " (Likely, not proved: a program that idles until it is killed looks the same.)");
    if (left_behind) threads_tell_vanished(d, p, f);
    enum advice which = kind == FINDING_ORPHANED_LOCK  ? ADVICE_NOT_SEEN
                        : kind != FINDING_UNKNOWN_WAIT ? ADVICE_WAKER
                        : f->holder.tid                ? ADVICE_HELD
                                                       : ADVICE_UNKNOWN;
    advice_give(f, which, &best->ref, explain(p, best));
}

// ---- waits for stuck children

static struct party *party_of(struct diagnosis *d, int pid) {
    for (size_t i = 0; i < d->party_count; i++)
        if (d->parties[i].snapshot->pid == pid) return &d->parties[i];
    return NULL;
}

// All its children are stuck: a wait for any of them has no end.
static bool all_children_covered(struct diagnosis *d, int pid) {
    size_t count, covered = 0;
    int *children = proc_children(pid, &count);
    for (size_t i = 0; i < count; i++) {
        const struct party *child = party_of(d, children[i]);
        covered += child && child->covered;
    }
    free(children);
    return count && covered == count;
}

static struct party *stuck_child(struct diagnosis *d, const struct party *p, int wanted) {
    if (!wanted && !all_children_covered(d, p->snapshot->pid)) return NULL;
    for (size_t i = 0; i < d->party_count; i++) {
        struct party *child = &d->parties[i];
        if (child->covered && child->snapshot->parent == p->snapshot->pid &&
            (!wanted || child->snapshot->inside == wanted))
            return child;
    }
    return NULL;
}

static const struct finding *first_of(const struct verdict *v, int pid, size_t but) {
    for (size_t i = 0; i < v->count && i < but; i++)
        if (v->findings[i].waiter.pid == pid) return &v->findings[i];
    return NULL;
}

// Returns whether there was a new one: a wait for a process that waits for a stuck one comes behind it.
static bool make_consequence(struct diagnosis *d, struct party *p) {
    if (p->covered || p->snapshot->core) return false;
    for (size_t i = 0; i < p->snapshot->thread_count; i++) {
        struct wait *w = &p->waits[i];
        int wanted;
        if (!waits_for_child(&p->snapshot->threads[i], &wanted)) continue;
        struct party *child = stuck_child(d, p, wanted);
        if (!child || !still_waits(p, w)) continue;
        const struct finding *cause = first_of(d->verdict, child->snapshot->pid, d->verdict->count);
        struct finding *f = add(d, p, w, FINDING_CROSS_PROCESS_WAIT, true);
        cause = first_of(d->verdict, child->snapshot->pid, d->verdict->count); // they may have moved
        if (cause->confidence == CONFIDENCE_LIKELY) f->confidence = CONFIDENCE_LIKELY;
        advice_give(f, ADVICE_CROSS, NULL, 0);
        return true;
    }
    return false;
}

void diagnose_findings(struct diagnosis *d) {
    struct verdict *v = d->verdict;
    for (size_t i = 0; i < d->party_count; i++) {
        struct party *p = &d->parties[i];
        for (size_t k = 0; k < p->snapshot->thread_count; k++)
            make_orphan(d, p, &p->waits[k]);
        for (size_t k = 0; k < p->snapshot->thread_count; k++)
            make_dead(d, p, &p->waits[k]);
        make_cycles(d, p);
        make_rest(d, p);
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < d->party_count; i++)
            more |= make_consequence(d, &d->parties[i]);
    }
    // The array has its final place now.
    for (size_t i = 0; i < v->count; i++) {
        struct finding *f = &v->findings[i];
        int wanted;
        if (f->kind != FINDING_CROSS_PROCESS_WAIT) continue;
        struct party *p = party_of(d, f->waiter.pid);
        for (size_t k = 0; k < p->snapshot->thread_count; k++) {
            if (p->snapshot->threads[k].tid != f->waiter.tid ||
                !waits_for_child(&p->snapshot->threads[k], &wanted))
                continue;
            struct party *child = stuck_child(d, p, wanted);
            if (child) f->caused_by = (struct finding *)first_of(v, child->snapshot->pid, v->count);
        }
    }
    v->deadlock = v->count > 0;
}

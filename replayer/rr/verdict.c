#include "replayer/rr/verdict.h"

#include "core/array.h"
#include "replayer/diagnose/findings.h"
#include "replayer/rr/holder.h"
#include "replayer/rr/place.h"
#include "replayer/verdict/advice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { PROCESSES_MOST = 32 };

struct rr_case {
    const struct rr_trace *t;
    struct diagnosis *d;
    struct rr_place *ends; // beside d->parties, each at its process's end
    size_t end_count;
};

// ---- who held it

struct found {
    bool seen;                   // somebody took it, in `changes`
    const struct rr_task *owner; // the first task of the process in which that was
    const struct rr_task
        *child; // and that of the process which it forked, on the way to the waiter; NULL: the waiter's own
    struct rr_changes changes;
};

static const struct rr_task *first_of(const struct rr_trace *t, int pid, uint64_t event) {
    return rr_trace_task(t, pid, event);
}

// Has the process kept the lock held from the fork that made it to `event` (0: its end)? Going forward from there is both: one
// replay, and sure: rr 5.9 with software counters dies of going back to the beginning of some forked processes.
static int kept(const struct rr_case *c, const struct rr_task *first, const struct lock_ref *ref,
                uint64_t event, bool *out, struct rf_error *err) {
    struct rr_place place;
    uint64_t until;
    *out = false;
    if (!first->forked || !first->born) return 0;
    if (rr_place_connect(c->t, first, first->born, &place, err)) return -1;
    if (rr_held_throughout(place.remote, ref, event, out, &until, err)) return rr_place_failed(&place, err);
    rr_place_close(&place);
    return 0;
}

static int look_back(const struct rr_case *c, const struct lock_ref *ref, uint64_t event, struct found *out,
                     struct rf_error *err) {
    const struct rr_task *owner = out->owner;
    struct rr_changes *changes = &out->changes;
    struct rr_place place;
    if (event ? rr_place_open(c->t, c->d, owner, event, &place, err)
              : rr_place_end(c->t, c->d, owner, &place, err))
        return -1;
    if (rr_changes_find(c->d, &place.party, place.remote, ref, changes, err))
        return rr_place_failed(&place, err);
    rr_place_close(&place);
    // In some forked processes rr 5.9 comes to the beginning without a stop at the changes on the way.
    if (!changes->count && !changes->begins && owner->forked) {
        if (rr_place_open(c->t, c->d, owner, owner->born, &place, err)) return -1;
        if (rr_changes_forward(c->d, &place.party, place.remote, ref, event, changes, err))
            return rr_place_failed(&place, err);
        rr_place_close(&place);
    }
    out->seen = changes->holder_count > 0;
    return 0;
}

// Through the copies of the lock: from the waiter's process to the one that it was forked from, and on.
static int find_holder(const struct rr_case *c, const struct rr_task *waiter, const struct lock_ref *ref,
                       struct found *out, struct rf_error *err) {
    uint64_t event = 0; // the waiter's end
    *out = (struct found){.owner = waiter};
    for (int deep = 0; deep < PROCESSES_MOST; deep++) {
        bool copied;
        if (kept(c, out->owner, ref, event, &copied, err)) return -1;
        const struct rr_task *forker = rr_trace_forker(c->t, out->owner);
        const struct rr_task *parent = forker ? first_of(c->t, forker->pid, out->owner->born) : NULL;
        if (!copied || !parent) return look_back(c, ref, event, out, err);
        out->child = out->owner;
        event = out->owner->born;
        out->owner = parent;
    }
    return 0;
}

// ---- the fork

static void tell_vanished(struct rr_case *c, const struct rr_place *place, const struct rr_task *forker,
                          struct finding *f) {
    const struct snapshot *s = place->party.snapshot;
    f->vanished = calloc(s->thread_count + 1, sizeof *f->vanished);
    rf_assert(f->vanished);
    for (size_t i = 0; i < s->thread_count; i++) {
        const struct snapshot_thread *t = &s->threads[i];
        if (t->tid == forker->tid) continue;
        struct vanished_thread *v = &f->vanished[f->vanished_count++];
        // What it leaves in the child's memory is not looked for here.
        *v = (struct vanished_thread){.destructors = -1, .keys = -1, .cache_blocks = -1, .cache_bytes = -1};
        v->task = (struct finding_task){.pid = s->pid, .tid = t->tid, .vanished = true};
        memcpy(v->task.name, t->name, sizeof v->task.name);
        v->point = (struct finding_point){.event = f->fork.event,
                                          .pid = s->pid,
                                          .tid = t->tid,
                                          .stack = rr_stack(c->d, &place->party, &t->regs)};
        stack_start_routine(&v->point.stack, v->task.start_routine, sizeof v->task.start_routine);
    }
}

static int tell_fork(struct rr_case *c, const struct rr_task *child, struct finding *f,
                     struct rf_error *err) {
    struct rr_place place;
    const struct rr_task *forker = rr_trace_forker(c->t, child);
    const struct rr_task *parent = forker ? first_of(c->t, forker->pid, child->born) : NULL;
    if (!parent) return 0;
    if (rr_place_open(c->t, c->d, parent, child->born, &place, err)) return -1;
    const struct snapshot *s = place.party.snapshot;
    f->fork = (struct finding_point){.event = child->born, .pid = forker->pid, .tid = forker->tid};
    for (size_t i = 0; i < s->thread_count; i++)
        if (s->threads[i].tid == forker->tid)
            f->fork.stack = rr_stack(c->d, &place.party, &s->threads[i].regs);
    tell_vanished(c, &place, forker, f);
    rr_place_close(&place);
    return 0;
}

// ---- findings

static struct finding_point point_copy(const struct finding_point *p) {
    struct finding_point copy = *p;
    copy.stack = stack_copy(&p->stack);
    return copy;
}

// Marks all waits for the lock of `w`; returns how many there are beside it.
static size_t explain(struct party *p, const struct wait *w) {
    size_t more = 0;
    for (size_t i = 0; i < p->snapshot->thread_count; i++) {
        struct wait *o = &p->waits[i];
        if ((!o->in_futex && !o->spins) || o->ref.word != w->ref.word) continue;
        more += o != w && !o->explained;
        o->explained = true;
    }
    return more;
}

static bool lived_at(const struct rr_task *task, uint64_t event) {
    return task && task->born <= event && (!task->died || task->died > event);
}

static void add_holders(struct finding *f, const struct found *found) {
    const struct rr_changes *x = &found->changes;
    const struct rr_change *first = &x->list[x->holders[0]];
    f->holder = first->task;
    f->acquired = point_copy(&first->point);
    for (size_t i = 1; i < x->holder_count; i++) {
        const struct rr_change *c = &x->list[x->holders[i]];
        struct finding_party *party = array_add(f->holders, f->holder_count);
        *party =
            (struct finding_party){.task = c->task, .point = point_copy(&c->point), .what = "holds it, too"};
    }
}

// ---- who had it from when to when

static void add_span(struct verdict *v, const struct wait *w, const struct rr_change *taken, int pid,
                     bool ghost, uint64_t from, uint64_t to) {
    struct held_span *s = array_add(v->spans, v->span_count);
    *s = (struct held_span){
        .lock = w->lock.address, .tid = taken->task.tid, .pid = pid, .ghost = ghost, .from = from, .to = to};
    snprintf(s->symbol, sizeof s->symbol, "%.63s", w->lock.symbol);
}

// When the holder's own process releases it behind the fork; its death when it does not.
static uint64_t released(const struct rr_case *c, const struct found *found, const struct wait *w,
                         const struct rr_task *holder) {
    struct rr_place place;
    struct rf_error err = {0};
    bool held;
    uint64_t until = 0;
    if (rr_place_connect(c->t, found->owner, found->child->born, &place, &err) == 0) {
        if (rr_held_throughout(place.remote, &w->ref, 0, &held, &until, &err))
            rr_place_failed(&place, &err);
        else
            rr_place_close(&place);
    }
    if (err.status)
        verdict_note(c->d->verdict, "when %s was released in process %d could not be seen: %s",
                     *w->lock.symbol ? w->lock.symbol : "the lock", holder->pid, err.text);
    // At its end the process has no memory any more: that is no release.
    return until && until < (holder->died ? holder->died : c->t->last) ? until : holder->died;
}

// Each process between the holder's and the waiter's has a copy of the lock that nobody can release.
static void add_spans(const struct rr_case *c, const struct wait *w, const struct found *found,
                      const struct rr_change *taken, const struct rr_task *holder) {
    struct verdict *v = c->d->verdict;
    add_span(v, w, taken, holder->pid, false, taken->point.event, released(c, found, w, holder));
    const struct rr_task *at = first_of(c->t, w->task.pid, 0);
    for (int deep = 0; at && at != found->owner && deep < PROCESSES_MOST; deep++) {
        add_span(v, w, taken, at->pid, true, at->born, 0);
        const struct rr_task *forker = rr_trace_forker(c->t, at);
        at = forker ? first_of(c->t, forker->pid, at->born) : NULL;
    }
}

// Nobody is left in the waiter's process who could release it: all of its threads wait, and its memory is its own.
static int make_orphan(struct rr_case *c, struct party *p, struct wait *w, const struct found *found,
                       struct rf_error *err) {
    const struct rr_change *taken = &found->changes.list[found->changes.holders[0]];
    const struct rr_task *forker = rr_trace_forker(c->t, found->child);
    const struct rr_task *holder = rr_trace_task(c->t, taken->task.tid, taken->point.event);
    bool by_forker = forker && forker->tid == taken->task.tid;
    if (!lived_at(holder, found->child->born))
        return 0;                                   // it ended with the lock, before the fork: not told here
    if (w->ref.bare && !taken->exchanges) return 0; // some word, not a lock
    struct finding *f = array_add(c->d->verdict->findings, c->d->verdict->count);
    bool in_handler = w->ref.in_fork;
    *f = (struct finding){.kind = in_handler  ? FINDING_ATFORK_CHILD
                                  : by_forker ? FINDING_SELF_HELD
                                  : w->spins  ? FINDING_ORPHANED_SPIN
                                              : FINDING_ORPHANED_LOCK,
                          .confidence = CONFIDENCE_PROVED,
                          .lock = w->lock,
                          .waiter = w->task,
                          .holder_is_forker = by_forker,
                          .waiting = {.event = c->t->last, .pid = w->task.pid, .tid = w->task.tid}};
    const struct rr_task *waiter = rr_trace_task(c->t, w->task.tid, 0);
    if (waiter && waiter->entered) f->waiting.event = waiter->entered;
    f->waiting.stack = stack_copy(&w->stack);
    add_holders(f, found);
    f->holder.vanished = !by_forker;
    // 1 -> 0 may have been the last permit that was used up.
    if (w->ref.wants == WANTS_POST || w->signal_handler) f->confidence = CONFIDENCE_LIKELY;
    if (in_handler) text_reason_child_handler(f);
    advice_give(f,
                in_handler  ? ADVICE_CHILD_HANDLER
                : by_forker ? ADVICE_FORKER
                            : ADVICE_ORPHAN,
                &w->ref, explain(p, w));
    p->covered = true;
    add_spans(c, w, found, taken, holder);
    return tell_fork(c, found->child, f, err);
}

static int look_at(struct rr_case *c, struct party *p, struct wait *w, struct rf_error *err) {
    struct found found;
    const struct rr_task *first = first_of(c->t, p->snapshot->pid, 0);
    if (w->explained || !wait_is_closed(w) || !w->held || !w->ref.word || !first || !p->closed) return 0;
    if (w->ref.wants != WANTS_LOCK && w->ref.wants != WANTS_POST && !w->spins && !w->ref.bare) return 0;
    int failed = find_holder(c, first, &w->ref, &found, err);
    if (!failed && found.seen && found.child) failed = make_orphan(c, p, w, &found, err);
    rr_changes_release(&found.changes);
    return failed;
}

// ---- who waits for a process that is stuck

static struct party *party_of(const struct rr_case *c, int pid) {
    for (size_t i = 0; i < c->d->party_count; i++)
        if (c->d->parties[i].snapshot->pid == pid) return &c->d->parties[i];
    return NULL;
}

// All processes that this one had at the end are stuck: a wait for any of them has no end.
static const struct party *stuck_child(const struct rr_case *c, const struct party *p, int wanted) {
    const struct party *found = NULL;
    for (size_t i = 0; i < c->t->count; i++) {
        const struct rr_task *task = &c->t->tasks[i];
        const struct rr_task *forker = task->pid == task->tid ? rr_trace_forker(c->t, task) : NULL;
        if (!forker || forker->pid != p->snapshot->pid || (wanted && task->pid != wanted)) continue;
        const struct party *child = party_of(c, task->pid);
        if (child && child->covered)
            found = child;
        else if (!WIFEXITED(task->status) || !task->died)
            return NULL; // another one, of which nothing is known
    }
    return found;
}

static bool add_consequence(struct rr_case *c, struct party *p) {
    struct verdict *v = c->d->verdict;
    for (size_t i = 0; !p->covered && i < p->snapshot->thread_count; i++) {
        int wanted;
        if (!waits_for_child(&p->snapshot->threads[i], &wanted) || !stuck_child(c, p, wanted)) continue;
        const struct wait *w = &p->waits[i];
        struct finding *f = array_add(v->findings, v->count);
        *f = (struct finding){.kind = FINDING_CROSS_PROCESS_WAIT,
                              .confidence = CONFIDENCE_PROVED,
                              .waiter = w->task,
                              .waiting = {.event = c->t->last, .pid = w->task.pid, .tid = w->task.tid}};
        const struct rr_task *waiter = rr_trace_task(c->t, w->task.tid, 0);
        if (waiter && waiter->entered) f->waiting.event = waiter->entered;
        f->waiting.stack = stack_copy(&w->stack);
        advice_give(f, ADVICE_CROSS, NULL, 0);
        p->covered = true;
        return true;
    }
    return false;
}

// When the array has its final place: what each of them waits for.
static void join_consequences(struct rr_case *c) {
    struct verdict *v = c->d->verdict;
    for (size_t i = 0; i < v->count; i++) {
        struct finding *f = &v->findings[i];
        const struct party *p = f->kind == FINDING_CROSS_PROCESS_WAIT ? party_of(c, f->waiter.pid) : NULL;
        for (size_t k = 0; p && k < p->snapshot->thread_count; k++) {
            int wanted;
            const struct party *child = p->snapshot->threads[k].tid == f->waiter.tid &&
                                                waits_for_child(&p->snapshot->threads[k], &wanted)
                                            ? stuck_child(c, p, wanted)
                                            : NULL;
            for (size_t m = 0; child && m < v->count; m++)
                if (v->findings[m].waiter.pid == child->snapshot->pid) {
                    f->caused_by = &v->findings[m];
                    f->confidence = v->findings[m].confidence;
                    break;
                }
        }
    }
}

// ---- all of it

// It was there until a signal ended it, or until the trace ends.
static bool may_be_stuck(const struct rr_task *task) {
    return task->pid == task->tid && (!task->died || WIFSIGNALED(task->status));
}

static void open_ends(struct rr_case *c, struct rf_error *err) {
    struct diagnosis *d = c->d;
    for (size_t i = 0; i < c->t->count && d->party_count < PROCESSES_MOST; i++) {
        const struct rr_task *task = &c->t->tasks[i];
        struct rr_place place;
        if (!may_be_stuck(task)) continue;
        if (rr_place_end(c->t, c->d, task, &place, err)) {
            verdict_note(d->verdict, "process %d could not be looked at: %s", task->pid, err->text);
            continue;
        }
        array_push(d->parties, d->party_count, place.party);
        array_push(c->ends, c->end_count, place);
    }
}

static void describe(struct verdict *v, const struct rr_trace *t) {
    const struct rr_task *first = &t->tasks[0];
    v->events = t->last;
    v->cut = !first->died;
    snprintf(v->program, sizeof v->program, "%s", t->program);
    if (!first->died)
        snprintf(v->end_reason, sizeof v->end_reason, "before the program did (by rr)");
    else if (WIFSIGNALED(first->status))
        snprintf(v->end_reason, sizeof v->end_reason, "killed by signal %d (by rr)", WTERMSIG(first->status));
    else
        snprintf(v->end_reason, sizeof v->end_reason, "exited with status %d (by rr)",
                 WEXITSTATUS(first->status));
}

static int conclude(struct rr_case *c, struct rf_error *err) {
    struct diagnosis *d = c->d;
    for (size_t i = 0; i < d->party_count; i++) {
        party_look(d, &d->parties[i]);
        party_close(&d->parties[i]);
    }
    for (size_t i = 0; i < d->party_count; i++)
        for (size_t k = 0; k < d->parties[i].snapshot->thread_count; k++)
            if (look_at(c, &d->parties[i], &d->parties[i].waits[k], err)) return -1;
    diagnose_findings(d);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < d->party_count; i++)
            more |= add_consequence(c, &d->parties[i]);
    }
    join_consequences(c);
    d->verdict->deadlock = d->verdict->count > 0;
    return 0;
}

int rr_verdict(const struct rr_trace *t, struct diagnosis **out, struct rf_error *err) {
    struct rr_case c = {.t = t, .d = diagnosis_new()};
    describe(c.d->verdict, t);
    open_ends(&c, err);
    // Nothing to look at is an answer, unless it comes of a replay that fails.
    int failed = !c.d->party_count && c.d->verdict->note_count ? -1 : conclude(&c, err);
    if (!failed)
        verdict_note(
            c.d->verdict,
            "this is a trace of rr: where locks and their memory come from, pipes, file locks, and what "
            "vanished threads leave behind are not looked for");
    for (size_t i = 0; i < c.end_count; i++) {
        c.ends[i].party.snapshot = NULL; // the diagnosis has it
        rr_place_close(&c.ends[i]);
    }
    free(c.ends);
    if (failed) {
        diagnosis_free(c.d);
        return -1;
    }
    err->status = 0;
    *out = c.d;
    return 0;
}

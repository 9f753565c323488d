#include "replayer/rr/holder.h"

#include "core/array.h"
#include "core/atomic_emulate.h"
#include "core/futex.h"
#include "core/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANGES_MOST = 512, // of a lock that is held all the while, such as readers that come and go
    INSTRUCTION = 15,
    STOPS_MOST = 100000, // hits that changed nothing included
};

struct stack rr_stack(struct diagnosis *d, const struct party *p, const struct user_regs_struct *regs) {
    const struct snapshot_thread t = {.stopped = true, .regs = *regs};
    return party_stack(d, p, &t, NULL);
}

static uint32_t counted(const struct lock_ref *ref, uint32_t value) {
    return ref->mask ? value & ref->mask : value;
}

static int read_word(struct remote *r, const struct lock_ref *ref, uint32_t *out, struct rf_error *err) {
    if (remote_read(r, ref->word, out, sizeof *out)) return 0;
    return rf_fail(err, RF_CANNOT, "the replay cannot read the lock at 0x%" PRIx64, ref->word);
}

// ---- who made a change

static bool exchanges_at(const struct view *v, uint64_t pc) {
    uint8_t code[INSTRUCTION];
    struct atomic_instruction a;
    if (!v->read(v->context, pc, code, sizeof code) || !atomic_decode(code, sizeof code, &a)) return false;
    return (a.locked || a.operation == ATOMIC_XCHG || a.operation == ATOMIC_CMPXCHG) &&
           (a.operation == ATOMIC_CMPXCHG || a.operation == ATOMIC_XCHG || a.operation == ATOMIC_BTS ||
            a.operation == ATOMIC_OR);
}

static int tell_change(struct diagnosis *d, const struct party *p, struct remote *r,
                       const struct remote_stop *stop, struct rr_change *out, struct rf_error *err) {
    struct remote_thread *threads;
    size_t count;
    struct user_regs_struct regs;
    if (remote_threads(r, &threads, &count, err)) return -1;
    scoped_free struct remote_thread *list = threads;
    const struct remote_thread *t = NULL;
    for (size_t i = 0; i < count; i++)
        if (list[i].tid == stop->tid) t = &list[i];
    if (!t) return rf_fail(err, RF_CANNOT, "the replay does not tell which thread changed the lock");
    if (remote_registers(r, t, &regs, err)) return -1;
    out->task = (struct finding_task){.pid = p->snapshot->pid, .tid = t->tid};
    snprintf(out->task.name, sizeof out->task.name, "%s", t->name);
    out->exchanges = exchanges_at(&p->snapshot->view, regs.rip);
    out->point = (struct finding_point){.event = remote_event(r, t->tid),
                                        .pid = p->snapshot->pid,
                                        .tid = t->tid,
                                        .stack = rr_stack(d, p, &regs)};
    if (t->tid != p->snapshot->pid)
        stack_start_routine(&out->point.stack, out->task.start_routine, sizeof out->task.start_routine);
    return 0;
}

// ---- who has it after all changes

static void forget_reader(struct rr_changes *c, int tid) {
    for (size_t i = c->holder_count; i-- > 0;) {
        if (c->list[c->holders[i]].task.tid != tid) continue;
        array_remove(c->holders, c->holder_count, i);
        return;
    }
}

static void take(struct rr_changes *c, size_t change) {
    c->holders[0] = change;
    c->holder_count = 1;
}

// A change may be several steps of ours: only what comes in or goes out counts.
static void apply(struct rr_changes *c, enum lock_rule rule, size_t change) {
    const struct rr_change *x = &c->list[change];
    struct lock_sharing was, is;
    if (lock_sharing(rule, x->from, &was) && lock_sharing(rule, x->to, &is)) {
        // Who announces himself as the writer gets it with the next step, his own or that of the last reader.
        if (is.claimed && !was.claimed) c->claim = change;
        if (is.writer && !was.writer)
            take(c, is.claimed && was.claimed ? c->claim : change);
        else if (was.writer && !is.writer)
            c->holder_count = 0;
        else if (is.registered == was.registered + 1 &&
                 c->holder_count < sizeof c->holders / sizeof *c->holders)
            c->holders[c->holder_count++] = change;
        else if (is.registered + 1 == was.registered)
            forget_reader(c, x->task.tid);
    } else if (rule == RULE_OWNER) {
        if ((x->from ^ x->to) & FUTEX_TID_MASK) take(c, change);
    } else if (lock_is_held(rule, x->to) && !lock_is_held(rule, x->from)) {
        take(c, change);
    }
}

// ---- back

static bool is_taken(const struct lock_ref *ref, uint32_t value) {
    struct lock_sharing s;
    return lock_is_held(ref->rule, counted(ref, value)) ||
           (lock_sharing(ref->rule, counted(ref, value), &s) && s.claimed);
}

static int go_back(struct diagnosis *d, const struct party *p, struct remote *r, const struct lock_ref *ref,
                   struct rr_changes *out, struct rf_error *err) {
    uint32_t later, now;
    struct remote_stop stop;
    if (read_word(r, ref, &later, err)) return -1;
    for (unsigned stops = 0; is_taken(ref, later); stops++) {
        if (stops == STOPS_MOST || out->count == CHANGES_MOST)
            return rf_fail(err, RF_CANNOT, "the lock changes too often while it is held");
        if (remote_go(r, REMOTE_BACK, NULL, &stop, err)) return -1;
        if (stop.how != REMOTE_STOPPED) return 0;
        if (read_word(r, ref, &now, err)) return -1;
        if (now == later) continue;
        struct rr_change *c = array_add(out->list, out->count);
        c->from = counted(ref, now);
        c->to = counted(ref, later);
        if (tell_change(d, p, r, &stop, c, err)) return -1;
        later = now;
    }
    out->begins = true;
    return 0;
}

static void conclude(struct rr_changes *c, enum lock_rule rule) {
    c->claim = c->count ? c->count - 1 : 0; // where none is seen
    for (size_t i = c->count; i-- > 0;)
        apply(c, rule, i);
}

int rr_changes_find(struct diagnosis *d, const struct party *p, struct remote *remote,
                    const struct lock_ref *ref, struct rr_changes *out, struct rf_error *err) {
    *out = (struct rr_changes){0};
    if (remote_watch(remote, ref->word, 4, true, err)) return -1;
    int failed = go_back(d, p, remote, ref, out, err);
    if (failed) return -1;
    conclude(out, ref->rule);
    return remote_watch(remote, ref->word, 4, false, err);
}

// The instruction in front of `pc` cannot be told for certain, so whether it exchanges is not.
static int go_forward(struct diagnosis *d, const struct party *p, struct remote *r,
                      const struct lock_ref *ref, uint64_t event, struct rr_changes *out,
                      struct rf_error *err) {
    struct remote_stop stop;
    uint32_t before, now;
    if (read_word(r, ref, &before, err)) return -1;
    out->begins = !is_taken(ref, before);
    for (unsigned stops = 0; stops < STOPS_MOST; stops++) {
        if (remote_go(r, REMOTE_FORWARD, NULL, &stop, err)) return -1;
        if (stop.how != REMOTE_STOPPED || (event && remote_event(r, stop.tid) > event)) return 0;
        if (read_word(r, ref, &now, err)) return -1;
        if (now == before) continue;
        struct rr_change c = {.from = counted(ref, before), .to = counted(ref, now)};
        before = now;
        if (!is_taken(ref, now)) {
            rr_changes_release(out);
            out->begins = true;
            continue;
        }
        if (out->count == CHANGES_MOST || tell_change(d, p, r, &stop, &c, err)) break;
        array_insert(out->list, out->count, 0, c);
    }
    return err->status ? -1 : rf_fail(err, RF_CANNOT, "the lock changes too often while it is held");
}

int rr_changes_forward(struct diagnosis *d, const struct party *p, struct remote *remote,
                       const struct lock_ref *ref, uint64_t event, struct rr_changes *out,
                       struct rf_error *err) {
    *out = (struct rr_changes){0};
    if (remote_watch(remote, ref->word, 4, true, err) || go_forward(d, p, remote, ref, event, out, err))
        return -1;
    conclude(out, ref->rule);
    return 0;
}

int rr_held_throughout(struct remote *remote, const struct lock_ref *ref, uint64_t event, bool *held,
                       uint64_t *until, struct rf_error *err) {
    struct remote_stop stop = {0};
    uint32_t now;
    *until = 0;
    if (remote_watch(remote, ref->word, 4, true, err)) return -1;
    for (unsigned stops = 0; stops < STOPS_MOST; stops++) {
        if (read_word(remote, ref, &now, err)) return -1;
        *held = lock_is_held(ref->rule, counted(ref, now));
        if (!*held && stops) *until = remote_event(remote, stop.tid);
        if (!*held || remote_go(remote, REMOTE_FORWARD, NULL, &stop, err)) return *held ? -1 : 0;
        // A signal that ends the process is told first: nothing of it runs behind that.
        if (stop.how != REMOTE_STOPPED) return 0;
        if (event && remote_event(remote, stop.tid) > event) return 0;
    }
    return rf_fail(err, RF_CANNOT, "the lock changes too often while it is held");
}

void rr_changes_release(struct rr_changes *c) {
    for (size_t i = 0; i < c->count; i++)
        free(c->list[i].point.stack.frames);
    free(c->list);
    *c = (struct rr_changes){0};
}

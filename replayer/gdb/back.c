#include "replayer/gdb/back.h"

#include "core/array.h"
#include "replayer/gdb/caught.h"
#include "replayer/names/unwind_entries.h"
#include "replayer/names/unwind_module.h"

#include <string.h>
#include <sys/syscall.h>

enum { STEPS_MOST = 200000, DEEPEST = 64 };

// ---- the last stop before a place

struct last {
    bool found;
    struct place place;
    struct stop stop;
    uint64_t
        fault; // the place is the last arrival at this pc in its slice, which are not yet counted; 0: it is as it is
};

static bool keep_last(struct stops *s, struct armed *a, const struct break_hit *hit) {
    struct last *last = s->look_context;
    bool changed = s->due.address && !s->watch_by_kernel;
    struct leg leg = stops_due_leg(s);
    s->due.address = 0;
    // A change that is due at the place itself was made by the instruction before it.
    if (!changed && (s->walk.there || !a->user)) return false;
    last->found = true;
    last->fault = 0;
    last->place = (struct place){.event = s->slice, .count = 1};
    last->stop = (struct stop){.reason = changed ? STOP_WATCH : STOP_BREAKPOINT, .tid = hit->tid};
    last->stop.address = changed ? leg.pc : hit->address;
    last->stop.watch = leg.watch;
    last->place.legs[0] =
        changed ? leg : (struct leg){.kind = LEG_ARRIVE, .pc = hit->address, .count = a->arrivals};
    return false;
}

// A change that the kernel made for a system call: before it is the call's instruction, or the event before.
static void kernel_change(struct stops *s, struct last *last) {
    const struct event *e = replay_event(s->replay);
    bool call = e && (e->kind == EV_SYSCALL || e->kind == EV_ENTER) && (e->flags & EVF_REGS);
    last->found = true;
    last->fault = 0;
    last->stop = (struct stop){
        .reason = STOP_WATCH, .address = s->due.address, .watch = s->due.kind, .tid = e ? e->tid : 0};
    last->place = (struct place){.event = s->slice, .count = call};
    if (call) last->place.legs[0] = (struct leg){.kind = LEG_ARRIVE, .pc = e->regs.rip - 2, .count = 1};
}

// What an event is to the client: before it is made, at its slice's end or not, and behind it.
struct seen {
    bool ahead, fault, exec, behind;
    uint64_t pc;
    struct stop at_ahead, at_fault, at_exec, at_behind;
};

static int see_event(struct stops *s, struct seen *out, struct rf_error *err) {
    struct event e;
    uint64_t next = timeline_position(s->timeline) + 1;
    *out = (struct seen){0};
    if (next > timeline_last(s->timeline)) return 0;
    if (timeline_event(s->timeline, next, &e, err) < 0) return -1;
    out->behind = caught_behind(s, &e, &out->at_behind);
    out->exec = caught_exec(s, &e, &out->at_exec);
    out->fault = caught_fault(s, &e, &out->at_fault);
    uint64_t rip = e.regs.rip;
    out->ahead = caught_ahead(s, &e, &out->at_ahead, &out->pc); // reads another event
    if (out->fault) out->pc = rip;
    return 0;
}

static void keep_event(struct last *last, const struct stop *stop, uint64_t event, uint64_t pc) {
    last->found = true;
    last->fault = 0;
    last->stop = *stop;
    last->place = (struct place){.event = event, .count = pc != 0};
    if (pc) last->place.legs[0] = (struct leg){.kind = LEG_ARRIVE, .pc = pc, .count = 1};
}

// The event behind which the stops begin was told when they came there.
static void keep_seen(struct stops *s, const struct seen *seen, bool behind_told, struct last *last) {
    uint64_t at = timeline_position(s->timeline);
    if (seen->ahead) keep_event(last, &seen->at_ahead, at - 1, seen->pc);
    if (seen->exec) keep_event(last, &seen->at_exec, at - 1, 0);
    if (seen->fault) {
        keep_event(last, &seen->at_fault, at - 1, seen->pc);
        last->fault = seen->pc;
    }
    if (seen->behind && !behind_told) keep_event(last, &seen->at_behind, at, 0);
}

// From event `from` to event `until`, or to the place `until_place` behind it.
static int look_through(struct stops *s, uint64_t from, uint64_t until, const struct place *until_place,
                        struct last *last, struct rf_error *err) {
    uint64_t told = s->here.count || s->ahead ? 0 : s->here.event;
    if (stops_seek(s, from, err) < 0) return -1;
    s->mode = MODE_LOOK;
    s->look = keep_last;
    s->look_context = last;
    s->due.address = 0;
    while (timeline_position(s->timeline) < until && !s->interrupted) {
        struct seen seen;
        if (see_event(s, &seen, err) < 0) return -1;
        int got = stops_step_event(s, err);
        if (got < 0) return -1;
        if (got != 1) break;
        keep_seen(s, &seen, timeline_position(s->timeline) == told, last);
        if (s->due.address && s->watch_by_kernel) kernel_change(s, last);
        s->due.address = 0;
        if (s->client.interrupted(s->client.context)) s->interrupted = true;
    }
    if (!until_place || s->interrupted) return 0;
    walk_begin(s, until_place);
    int got = stops_step_event(s, err);
    s->walk.to = NULL;
    return got < 0 ? -1 : 0;
}

static uint64_t begin_of(const struct stops *s) {
    uint64_t first = timeline_last(s->timeline);
    bool any = false;
    for (size_t i = 0; i < replay_task_count(s->replay); i++) {
        const struct replay_task *t = replay_task_at(s->replay, i);
        if (!stops_follows(s, t->pid)) continue;
        if (t->birth < first) first = t->birth;
        any = true;
    }
    return any ? first : 1;
}

int back_find_stop(struct stops *s, struct place *found, struct stop *stop, struct rf_error *err) {
    struct place here = s->here;
    struct last last = {0};
    uint64_t begin = begin_of(s), upper = here.event;
    if (here.count && look_through(s, here.event, here.event, &here, &last, err) < 0) return -1;
    while (!last.found && upper > begin && !s->interrupted) {
        uint64_t lower = timeline_checkpoint(s->timeline, upper - 1);
        if (lower < begin) lower = begin;
        if (look_through(s, lower, upper, NULL, &last, err) < 0) return -1;
        upper = lower;
    }
    if (s->interrupted) return 0;
    *stop = last.stop;
    *found = last.found ? last.place : (struct place){.event = begin};
    if (last.found && last.fault) {
        uint64_t arrivals;
        if (caught_arrivals(s, last.place.event + 1, last.fault, &arrivals, err) < 0) return -1;
        found->legs[0].count = arrivals;
        if (!arrivals) *found = (struct place){.event = last.place.event + 1};
    }
    if (!last.found || last.stop.reason != STOP_WATCH || last.place.legs[0].kind != LEG_CHANGE)
        return last.found;
    // Before the change is before the instruction that made it.
    struct place change = last.place;
    return back_find_step(s, last.stop.tid, &change, found, err);
}

// An arrival at `pc` is looked at.
static void search_for(struct stops *s, uint64_t pc) {
    struct armed *a = stops_arm(s, replay_space_of(s->replay, stops_some_task(s)), pc);
    if (a) a->searched = true;
}

// ---- a place with one leg

struct resolved {
    uint64_t pc, arrivals;
};

static bool keep_arrivals(struct stops *s, struct armed *a, const struct break_hit *hit) {
    struct resolved *r = s->look_context;
    if (!s->walk.there) return false;
    r->pc = hit->address;
    r->arrivals = a->middle ? 0 : a->arrivals;
    return true;
}

int back_resolve(struct stops *s, struct place *p, struct rf_error *err) {
    struct resolved r = {.pc = p->count && p->legs[p->count - 1].kind == LEG_ARRIVE ? p->legs[p->count - 1].pc
                                                                                    : 0};
    if (!p->count || (p->count == 1 && p->legs[0].kind == LEG_ARRIVE && !p->legs[0].rsp)) return 0;
    // A place behind a change tells its pc only when it is there.
    for (int round = 0; round < 2 && !r.arrivals; round++) {
        if (stops_seek(s, p->event, err) < 0) return -1;
        if (r.pc) search_for(s, r.pc);
        s->mode = MODE_LOOK;
        s->look = keep_arrivals;
        s->look_context = &r;
        walk_begin(s, p);
        int got = stops_step_event(s, err);
        s->walk.to = NULL;
        if (got < 0) return -1;
        if (got != 2) break;
    }
    if (!r.arrivals)
        return rf_fail(err, RF_CANNOT, "the place behind event %llu was not reached again",
                       (unsigned long long)p->event);
    *p = (struct place){.event = p->event, .count = 1};
    p->legs[0] = (struct leg){.kind = LEG_ARRIVE, .pc = r.pc, .count = r.arrivals};
    return 0;
}

// ---- the instruction before a place

static uint64_t function_start(struct stops *s, uint64_t pc) {
    struct view view;
    struct module m;
    struct rf_error ignored;
    struct frame_section section;
    uint64_t start, end;
    int tid = stops_some_task(s);
    if (!tid || replay_view(s->replay, tid, &view, &ignored) < 0 || !module_at(&view, pc, &m)) return 0;
    if (module_function(&m, pc, &start, &end)) return start;
    return module_frame_entry(&m, pc, &section, &start, &end) ? start : 0;
}

// The last arrival at one of these, up to the place: from there it is not far.
struct anchor {
    uint64_t pcs[4];
    size_t count;
    bool found;
    struct leg last;
    struct user_regs_struct at_place;
    bool reached; // the place
};

static bool keep_anchor(struct stops *s, struct armed *a, const struct break_hit *hit) {
    struct anchor *x = s->look_context;
    if (s->walk.there) {
        x->at_place = *hit->regs;
        x->at_place.rip = hit->address;
        return x->reached = true;
    }
    for (size_t i = 0; i < x->count; i++)
        if (x->pcs[i] == hit->address) {
            x->found = true;
            x->last = (struct leg){.kind = LEG_ARRIVE, .pc = hit->address, .count = a->arrivals};
        }
    return false;
}

// From where stops_seek went up to the place `to`, or (no legs) to the end of the slice; s->look says whether to stop on the
// way.
static int run_slice(struct stops *s, const struct place *to, struct rf_error *err) {
    s->mode = MODE_LOOK;
    walk_begin(s, to);
    int got = stops_step_event(s, err);
    s->walk.to = NULL;
    return got < 0 ? -1 : 0;
}

// Steps from an anchor to the place, over calls, and remembers the way.
struct way {
    struct place anchor;
    struct place to; // no legs: the slice's end
    bool to_end;
    size_t anchor_leg;
    uint64_t anchor_count;
    bool begun, into_first, too_long;
    struct visited {
        uint64_t pc, rsp, call;
    } * steps;
    size_t count;
};

static uint64_t arrivals_so_far(const struct way *w, size_t last) {
    uint64_t n = 0;
    for (size_t i = 0; i <= last; i++)
        if (w->steps[i].pc == w->steps[last].pc && w->steps[i].rsp == w->steps[last].rsp) n++;
    return n;
}

static bool at_anchor(struct way *w, const struct break_hit *hit) {
    if (!w->anchor.count) return true;
    const struct leg *leg = &w->anchor.legs[w->anchor_leg];
    if (hit->address != leg->pc || (leg->rsp && leg->rsp != hit->regs->rsp) || ++w->anchor_count < leg->count)
        return false;
    w->anchor_count = 0;
    return ++w->anchor_leg == w->anchor.count;
}

static bool keep_way(struct stops *s, struct armed *a, const struct break_hit *hit) {
    struct way *w = s->look_context;
    if (s->walk.there) return true;
    if (!w->begun) {
        if (!at_anchor(w, hit)) {
            if (w->anchor.count && w->anchor_leg < w->anchor.count) {
                struct armed *next = stops_arm(s, hit->space, w->anchor.legs[w->anchor_leg].pc);
                if (next) next->searched = true;
            }
            return false;
        }
        w->begun = true;
    } else if (!a->step) {
        return false;
    } else if (w->count && w->steps[w->count - 1].call && hit->regs->rsp < w->steps[w->count - 1].rsp) {
        return false; // the same code, deeper within the call
    }
    if (w->count == STEPS_MOST) return w->too_long = true;
    stops_disarm_steps(s, hit->space);
    struct visited v = {.pc = hit->address, .rsp = hit->regs->rsp};
    bool into = w->into_first && !w->count;
    stops_arm_next(s, hit, into, &v.call);
    if (into) v.call = 0;
    array_push(w->steps, w->count, v);
    return false;
}

// A place is the anchor's, and from there the n-th arrival with that stack pointer.
static bool place_of(const struct way *w, size_t step, struct place *out) {
    *out = w->anchor;
    if (out->count == PLACE_LEGS) return false;
    uint64_t n = arrivals_so_far(w, step);
    // The walk's legs count what comes after the anchor; the anchor itself is the first visited place.
    bool same =
        w->anchor.count && w->steps[step].pc == w->steps[0].pc && w->steps[step].rsp == w->steps[0].rsp;
    if (same && --n == 0) return true;
    out->legs[out->count++] =
        (struct leg){.kind = LEG_ARRIVE, .pc = w->steps[step].pc, .rsp = w->steps[step].rsp, .count = n};
    return true;
}

static int walk_way(struct stops *s, struct way *w, struct rf_error *err) {
    uint64_t first = 0;
    if (w->anchor.count) {
        first = w->anchor.legs[0].pc;
    } else {
        struct user_regs_struct regs;
        if (stops_seek(s, w->to.event, err) < 0) return -1;
        struct event e;
        if (timeline_event(s->timeline, w->to.event + 1, &e, err) < 0) return -1;
        if (!stops_regs(s, e.tid, &regs)) return rf_fail(err, RF_CANNOT, "task %d has no registers", e.tid);
        first = regs.rip;
    }
    if (stops_seek(s, w->to.event, err) < 0) return -1;
    search_for(s, first);
    s->look = keep_way;
    s->look_context = w;
    return run_slice(s, &w->to, err);
}

static int too_far(struct rf_error *err) {
    return rf_fail(err, RF_CANNOT,
                   "the instruction before this one is more than %d instructions behind the last "
                   "place that is known",
                   STEPS_MOST);
}

// The last instruction before `to` (no legs: before the end of the slice, whose last pc is `end_pc`).
static int before_place(struct stops *s, const struct place *to, uint64_t end_pc, struct place *found,
                        struct rf_error *err) {
    struct anchor x = {.at_place.rip = to->count ? 0 : end_pc};
    uint64_t pc =
        to->count && to->legs[to->count - 1].kind == LEG_ARRIVE ? to->legs[to->count - 1].pc : end_pc;
    if (pc) x.pcs[x.count++] = pc;
    uint64_t start = pc ? function_start(s, pc) : 0;
    if (start && start != pc) x.pcs[x.count++] = start;
    if (stops_seek(s, to->event, err) < 0) return -1;
    for (size_t i = 0; i < x.count; i++)
        search_for(s, x.pcs[i]);
    s->look = keep_anchor;
    s->look_context = &x;
    if (run_slice(s, to, err) < 0) return -1;
    struct way w = {.anchor.event = to->event, .to = *to};
    if (x.found) {
        w.anchor.legs[0] = x.last;
        w.anchor.count = 1;
    }
    for (int depth = 0; depth < DEEPEST; depth++) {
        w.anchor_leg = w.anchor_count = w.count = 0;
        w.begun = w.too_long = false;
        if (walk_way(s, &w, err) < 0) break;
        if (w.too_long) {
            free(w.steps);
            return too_far(err);
        }
        if (!w.count) { // the place is the slice's first instruction
            free(w.steps);
            return 0;
        }
        struct visited last = w.steps[w.count - 1];
        struct place before;
        bool told = place_of(&w, w.count - 1, &before);
        if (!told || !last.call || last.call == x.at_place.rip) {
            *found = before;
            free(w.steps);
            return told ? 1 : too_far(err);
        }
        // The way ends behind a call, or inside of it: the instruction before is there.
        w.anchor = before;
        w.into_first = true;
    }
    free(w.steps);
    return -1;
}

// The instruction that raised a signal, whose slice may have come to it more than once; where no code is, the jump there. 1, 0: none, -1.
static int before_signal(struct stops *s, const struct event *e, struct place *found, struct rf_error *err) {
    uint64_t arrivals, pc = e->regs.rip;
    if (caught_arrivals(s, e->number, pc, &arrivals, err) < 0) return -1;
    *found = (struct place){.event = e->number - 1, .count = arrivals != 0};
    found->legs[0] = (struct leg){.kind = LEG_ARRIVE, .pc = pc, .count = arrivals};
    return arrivals ? 1 : before_place(s, &(struct place){.event = e->number - 1}, pc, found, err);
}

// Between two events: what task `tid` did last.
static int before_event(struct stops *s, int tid, uint64_t event, struct place *found, struct rf_error *err) {
    struct event e;
    for (uint64_t n = event; n; n--) {
        if (timeline_event(s->timeline, n, &e, err) < 0) return -1;
        if (e.kind == EV_BIRTH && (int)e.ret == tid) return 0;
        if (e.tid != tid) continue;
        *found = (struct place){.event = n - 1};
        if (e.kind == EV_EXEC) {
            found->event = n; // the program before it is another one
            return 0;
        }
        if (e.kind == EV_SIGNAL && e.aux == SIGNAL_BY_INSTRUCTION) {
            int got = before_signal(s, &e, found, err);
            if (got) return got;
            continue;
        }
        bool at_call =
            e.kind == EV_SYSCALL || e.kind == EV_ENTER || (e.kind == EV_SIGNAL && e.aux == SIGNAL_AT_ENTRY);
        bool at_pc = e.kind == EV_TRAP;
        if ((at_call || at_pc) && (e.flags & EVF_REGS)) {
            uint64_t behind = at_call ? 2 : e.kind == EV_TRAP && e.aux == TRAP_BY_INT3; // bytes
            found->legs[found->count++] =
                (struct leg){.kind = LEG_ARRIVE, .pc = e.regs.rip - behind, .count = 1};
            return 1;
        }
        if (e.kind == EV_TICK || e.kind == EV_STATE || e.kind == EV_BREAK) {
            uint64_t end = e.regs.rip;
            int got = before_place(s, &(struct place){.event = n - 1}, end, found, err);
            if (got) return got;
        }
    }
    return 0;
}

int back_find_step(struct stops *s, int tid, const struct place *from, struct place *found,
                   struct rf_error *err) {
    struct event e;
    *found = (struct place){.event = from->event};
    bool runs = from->count && timeline_event(s->timeline, from->event + 1, &e, err) == 0 && e.tid == tid;
    if (from->count && !runs && tid == 0) tid = e.tid;
    if (!runs) return before_event(s, tid, from->event, found, err);
    struct place place = *from;
    if (back_resolve(s, &place, err) < 0) return -1;
    int got = before_place(s, &place, 0, found, err);
    return got ? got : before_event(s, tid, from->event, found, err);
}

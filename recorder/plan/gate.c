// The fork gate: makes a fork happen while another task holds a chosen lock. Nothing here touches the program: tasks
// are held at landmarks, which is scheduling, so the trace is an ordinary one.
//
//     forking task   --- fork() [held]                          fork ---------->
//     another task   ----------------- takes the lock [parked]           [released]
//     child                                                       `- stuck, or not
//
// With GATE_AFTER_ACQUIRE the lock is taken first, and its holder waits for the fork:
//
//     another task   --- takes the lock [parked]
//     forking task   -------------------------- fork() ... fork ---------->
//
// What the forking task waits for with a timeout, again and again, may be something that its holder gives away when it is
// asked to (CPython's interpreter lock, between two byte codes): the parked task goes on until it waits, with the lock.
//
//     another task   --- takes the lock [parked]   [lent] --- waits [parked]
//     forking task   ---------- waits, waits again ........................ fork() ---------->
#include "recorder/plan/gate.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/futex.h"
#include "core/calls/syscalls.h"
#include "recorder/end/served.h"
#include "recorder/hooks.h"
#include "recorder/lifecycle.h"
#include "recorder/log.h"
#include "recorder/plan/roles.h"
#include "recorder/plan/schedule.h"
#include "recorder/plan/taking.h"
#include "recorder/plan/task_plan.h"
#include "recorder/waits/wait_loop.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum gate_state {
    OPEN,   // the fork has not come
    TAKEN,  // AFTER_ACQUIRE: the lock is taken and its holder parked; the fork has not come
    HELD,   // the forking task is held, the others run
    PARKED, // another task has taken the lock and is parked; the forking task goes on to its fork
    LENT,   // the parked task goes on, so that it may give away what the forking task waits for
    FORKED, // the child has been made; the holder is still parked
    WATCH,  // nobody is held any more; the child is not decided yet
    DONE,
};

enum {
    ALONE_US = 100000, // the forking task has the CPU to itself for so long on its way to the fork
    LOCK_SIZE = 16,    // futex words are at its begin; of pthread_rwlock_t at 8 and 12
    TIMED_WAITS = 3,   // so many waits with a timeout on a word of the lock are waits for its holder
    ASKING_WAITS =
        2, // so many on another word have asked its holder: CPython asks after 5 ms, when the first is over
    LENDS_MAX = 20,
};

struct pending_return {
    int tid;
    uint64_t address, rsp, lock;
};

struct gate {
    const struct gate_plan *plan;
    struct gate_outcome *out;
    enum gate_state state;
    struct task *forker, *parked;
    struct task *taker;    // has taken the lock, and is parked after its next park_call
    uint64_t calls;        // of hold_call by hold_task
    struct task *landing;  // the breakpoint that it stands at is the gate's
    uint64_t landing_lock; // what it takes there
    bool in_function;      // the forking task is held at fork()'s first instruction
    bool site_found, alone;
    bool ends;     // the recording does
    uint64_t word; // the plan's lock word
    uint64_t since_event, since_us;
    int child; // process
    int timed_waits;
    uint64_t last_wait; // event of the last wait counted
    struct task *lent;  // LENT: who was parked
    int asking_waits, lends;
    bool zero; // what the lock's word is while it is held
    struct pending_return *returns;
    size_t return_count;
    uint64_t from[GATE_FROM_MAX]; // return addresses, of the plan's `from` list
    size_t from_count;
    char problem[300]; // with the acquire site
};

static const char *const names[GATE_VERDICTS] = {
    [GATE_NONE] = "none",
    [GATE_NO_FORK] = "no-fork",
    [GATE_NO_SITE] = "no-site",
    [GATE_NEVER_CONCURRENT] = "never-concurrent",
    [GATE_ATFORK_PROTECTED] = "atfork-protected",
    [GATE_HOLDER_NEEDED] = "holder-needed",
    [GATE_CHILD_WENT_ON] = "child-went-on",
    [GATE_CHILD_DIED] = "child-died",
    [GATE_CHILD_STUCK] = "child-stuck",
    [GATE_UNDECIDED] = "undecided",
};

const char *gate_verdict_name(enum gate_verdict verdict) {
    return verdict < GATE_VERDICTS ? names[verdict] : "?";
}

static void note(struct recorder *r, struct task *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void note(struct recorder *r, struct task *t, const char *format, ...) {
    char text[600];
    size_t used = (size_t)snprintf(text, sizeof text, "fork gate: ");
    va_list ap;
    va_start(ap, format);
    vsnprintf(text + used, sizeof text - used, format, ap);
    va_end(ap);
    struct batch b;
    batch_init(r, &b, EV_NOTE, t);
    batch_text(&b, TEXT_MESSAGE, text, strlen(text));
    batch_log(r, t, &b);
}

static uint64_t events(struct recorder *r) {
    return trace_event_count(r->trace);
}

static void enter_state(struct recorder *r, enum gate_state state) {
    r->gate->state = state;
    r->gate->since_event = events(r);
    r->gate->since_us = served_us(r, now_us(r));
}

static void switch_everywhere(struct recorder *r, unsigned role, bool on) {
    for (struct task *t = r->tasks; t; t = t->next)
        breakpoints_switch(t->mm, role, on);
}

// The verdict, once; everybody goes on.
static void decide(struct recorder *r, enum gate_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void decide(struct recorder *r, enum gate_verdict verdict, const char *format, ...) {
    struct gate *g = r->gate;
    va_list ap;
    va_start(ap, format);
    vsnprintf(g->out->reason, sizeof g->out->reason, format, ap);
    va_end(ap);
    g->out->verdict = verdict;
    g->state = DONE;
    g->forker = g->parked = g->lent = g->taker = g->landing = NULL;
    switch_everywhere(r, BREAK_FORK | BREAK_ACQUIRE | BREAK_RETURN, false);
    note(r, NULL, "%s: %s", names[verdict], g->out->reason);
    g->out->decided = events(r);
    if (r->options->gate_only && !g->ends && !r->stop_all) r->result->gate_done = r->stop_all = true;
}

bool gate_wants_sites(const struct recorder *r) {
    return r->gate && r->gate->state <= TAKEN;
}

static bool lock_first(const struct gate *g) {
    return g->plan->stage == GATE_AFTER_ACQUIRE;
}

// Nobody else can fork while the only task of an address space is parked.
static bool is_alone(const struct recorder *r, const struct task *t) {
    for (const struct task *other = r->tasks; other; other = other->next)
        if (other != t && other->mm == t->mm) return false;
    return true;
}

// Does it matter now that t takes the lock?
static bool waits_for_acquire(const struct recorder *r, const struct task *t) {
    const struct gate *g = r->gate;
    if (lock_first(g)) return g->state == OPEN && !is_alone(r, t);
    return g->state == HELD && t->mm == g->forker->mm && t != g->forker;
}

bool gate_acquire_matters(const struct recorder *r) {
    return r->gate->state == OPEN && lock_first(r->gate);
}

void gate_word(struct recorder *r, uint64_t address) {
    r->gate->word = address;
}

static bool is_the_word(const struct gate *g, uint64_t address) {
    return !g->plan->has_word || address == g->word;
}

void gate_site(struct recorder *r, const char *problem) {
    char text[600];
    code_place_format(&r->gate->plan->acquire, text, sizeof text);
    if (problem)
        snprintf(r->gate->problem, sizeof r->gate->problem,
                 "there can be no breakpoint at the acquire site %.150s: %s", text, problem);
    else
        r->gate->site_found = true;
}

void gate_from(struct recorder *r, uint64_t address) {
    struct gate *g = r->gate;
    for (size_t i = 0; i < g->from_count; i++)
        if (g->from[i] == address) return;
    if (g->from_count < GATE_FROM_MAX) g->from[g->from_count++] = address;
}

static bool is_ready(const struct task *t) {
    return t->state == TASK_READY || t->state == TASK_RETURNED;
}

static bool gate_holds(const struct recorder *r, const struct task *t) {
    const struct gate *g = r->gate;
    switch (g->state) {
    case HELD:
        return t == g->forker;
    case TAKEN:
        return t == g->parked;
    case PARKED:
        return t == g->parked || (g->alone && t != g->forker && is_ready(g->forker));
    case FORKED:
        return t == g->parked;
    default:
        return false;
    }
}

// ---- the fork

static bool at_site(struct task *t, uint64_t behind) {
    // The place is a call (two to seven bytes), a syscall instruction, or what is behind it.
    for (int i = 0; i < t->mm->breaks.count; i++) {
        const struct breakpoint *b = &t->mm->breaks.all[i];
        if (b->roles & BREAK_SITE && behind >= b->address && behind - b->address <= 7) return true;
    }
    return false;
}

static bool counts(const struct gate *g, struct task *t) {
    return !g->plan->at_site || plan_of(t)->at_fork_site || at_site(t, t->call.regs.rip);
}

static void close_gate(struct recorder *r, struct task *t, bool in_function) {
    struct gate *g = r->gate;
    g->forker = t;
    g->in_function = in_function;
    g->landing = NULL;
    enter_state(r, HELD);
    g->out->forker = t->tid;
    note(r, t, "task %d is held at fork %" PRIu64 "%s, %s", t->tid, g->plan->fork,
         g->plan->at_site ? " of its site" : "",
         g->plan->stage == GATE_AFTER_CALL       ? "on its way there"
         : in_function                           ? "before the fork handlers"
         : g->plan->stage == GATE_BEFORE_PREPARE ? "at the call, for it did not come through fork()"
                                                 : "at the call");
    g->out->closed = events(r);
    if (!g->site_found) {
        decide(r, GATE_NO_SITE, "%s", g->problem);
        return;
    }
    switch_everywhere(r, BREAK_FORK, false);
    breakpoints_switch(t->mm, BREAK_ACQUIRE, true);
}

// AFTER_ACQUIRE: is this the fork that the parked holder waits for?
static bool comes_to_parked(const struct gate *g, const struct task *t) {
    return g->state == TAKEN && t != g->parked && t->mm == g->parked->mm &&
           g->out->forks + 1 >= g->plan->fork;
}

// The holder is parked; t goes on to its fork.
static void begin_fork(struct recorder *r, struct task *t, bool in_function) {
    struct gate *g = r->gate;
    g->forker = t;
    g->in_function = in_function;
    g->alone = true;
    g->out->forker = t->tid;
    g->out->closed = events(r);
    switch_everywhere(r, BREAK_FORK, false);
    note(r, t, "task %d comes to its fork while the lock is held", t->tid);
    enter_state(r, PARKED);
}

static enum break_wish gate_fork_entry(struct recorder *r, struct task *t,
                                       const struct user_regs_struct *regs) {
    struct gate *g = r->gate;
    uint64_t back = 0;
    if (g->state > TAKEN) return WISH_PASS;
    tracee_read(t->tid, t->mm->mem_fd, regs->rsp, &back, 8);
    plan_of(t)->at_fork_site = g->plan->at_site && at_site(t, back);
    bool elsewhere = g->plan->stage == GATE_AT_CLONE || g->plan->stage == GATE_AFTER_CALL;
    if ((g->plan->at_site && !plan_of(t)->at_fork_site) || elsewhere) return WISH_PASS;
    if (lock_first(g) ? !comes_to_parked(g, t) : g->out->forks + 1 != g->plan->fork) return WISH_PASS;
    g->landing = t;
    return WISH_LAND;
}

// t is at the entry of a call that makes a new address space. True: it is held there.
static bool gate_at_clone(struct recorder *r, struct task *t) {
    struct gate *g = r->gate;
    if (lock_first(g) && counts(g, t) && comes_to_parked(g, t)) begin_fork(r, t, false);
    if (lock_first(g) || g->plan->stage == GATE_AFTER_CALL || g->state != OPEN || !counts(g, t) ||
        g->out->forks + 1 != g->plan->fork)
        return false;
    task_hold_at_entry(r, t);
    close_gate(r, t, false);
    return true;
}

static void given_back(struct recorder *r) {
    const struct gate *g = r->gate;
    decide(
        r, GATE_HOLDER_NEEDED,
        "task %d gives the lock back before it gives away what task %d, on its way to the fork, waits for: "
        "nowhere in between can the fork come",
        g->lent->tid, g->out->forker);
}

static void gate_forked(struct recorder *r, struct task *t, struct task *child) {
    struct gate *g = r->gate;
    if (g->state <= HELD && counts(g, t)) g->out->forks++;
    plan_of(t)->at_fork_site = false;
    if (g->state == LENT && t == g->forker) { // before the other one was seen to wait
        if (taking_is_zero(t, g->out->lock) != g->zero) {
            given_back(r);
            return;
        }
        g->parked = g->lent;
        g->state = PARKED;
    }
    if (g->state != PARKED || t != g->forker) return;
    g->out->forks++;
    g->child = child->process->pid;
    g->out->child = child->tid;
    g->out->forked = events(r);
    enter_state(r, FORKED);
}

static void gate_fork_failed(struct recorder *r, struct task *t, int64_t ret) {
    if (r->gate->state == PARKED && t == r->gate->forker)
        decide(r, GATE_UNDECIDED, "the fork failed: %s", strerrordesc_np((int)-ret));
}

// ---- the acquire

// Is t within a call that returns to one of the plan's places?
static bool comes_from(const struct gate *g, struct task *t, uint64_t rsp) {
    return !g->plan->from_count || taking_below(t, rsp, g->from, g->from_count);
}

// Of a holder that goes on until a call the last acquire before that call counts.
static bool is_the_hit(struct gate *g) {
    uint64_t hits = ++g->out->acquires;
    return g->plan->parks_after_call ? hits >= g->plan->acquire_hit : hits == g->plan->acquire_hit;
}

static enum break_wish gate_acquire(struct recorder *r, struct task *t, const struct user_regs_struct *regs) {
    struct gate *g = r->gate;
    if (!waits_for_acquire(r, t)) return WISH_PASS;
    if (g->plan->acquire_task && t->number != g->plan->acquire_task) return WISH_PASS;
    if (!g->plan->function) {
        uint64_t lock;
        if (!taking_instruction(t, regs, &lock) || (lock && !is_the_word(g, lock)) ||
            !comes_from(g, t, regs->rsp) || !is_the_hit(g))
            return WISH_PASS;
        g->landing = t;
        g->landing_lock = lock;
        return WISH_BEHIND;
    }
    if (!is_the_word(g, regs->rdi) || !comes_from(g, t, regs->rsp)) return WISH_PASS;
    uint64_t back = 0;
    tracee_read(t->tid, t->mm->mem_fd, regs->rsp, &back, 8);
    const bool counted = breakpoint_at(t->mm, back);
    if (breakpoint_add(t, back, BREAK_RETURN, true)) return WISH_PASS;
    array_push(g->returns, g->return_count, (struct pending_return){t->tid, back, regs->rsp + 8, regs->rdi});
    // Since its last landmark t may have been there often, on its way from other locks. A landmark here begins the count anew.
    return counted ? WISH_PASS : WISH_LAND;
}

static enum break_wish gate_return(struct recorder *r, struct task *t, const struct user_regs_struct *regs) {
    struct gate *g = r->gate;
    for (size_t i = 0; i < g->return_count; i++) {
        const struct pending_return p = g->returns[i];
        if (p.tid != t->tid || p.address != regs->rip || p.rsp != regs->rsp) continue;
        g->returns[i] = g->returns[--g->return_count];
        if (!waits_for_acquire(r, t) || (uint32_t)regs->rax || !is_the_hit(g)) return WISH_PASS;
        g->landing = t;
        g->landing_lock = p.lock;
        return WISH_LAND;
    }
    return WISH_PASS;
}

static void park(struct recorder *r, struct task *t) {
    struct gate *g = r->gate;
    g->out->taken = events(r);
    g->parked = t;
    g->taker = NULL;
    g->out->parked = t->tid;
    g->zero = taking_is_zero(t, g->out->lock);
    switch_everywhere(r, BREAK_ACQUIRE | BREAK_RETURN, false);
    char text[600];
    code_place_format(&g->plan->acquire, text, sizeof text);
    note(r, t, "task %d has taken the lock 0x%" PRIx64 " at %.200s and is parked", t->tid, g->out->lock,
         text);
    g->alone = !lock_first(g);
    enter_state(r, lock_first(g) ? TAKEN : PARKED);
}

static void gate_landed(struct recorder *r, struct task *t, const struct breakpoint *b) {
    (void)b;
    struct gate *g = r->gate;
    if (g->landing != t) return;
    g->landing = NULL;
    if (g->state == OPEN && !lock_first(g)) {
        close_gate(r, t, true);
        return;
    }
    if (g->state == TAKEN) {
        begin_fork(r, t, true);
        return;
    }
    if (!waits_for_acquire(r, t)) return;
    g->out->lock = g->landing_lock;
    g->out->acquired = events(r);
    if (g->plan->parks_after_call)
        g->taker = t;
    else
        park(r, t);
}

// A call of t has returned, and t is at a landmark behind it.
static void gate_returned(struct recorder *r, struct task *t, int64_t ret) {
    struct gate *g = r->gate;
    if (syscall_effect(t->call.nr) == EFFECT_BIRTH && ret < 0) gate_fork_failed(r, t, ret);
    const struct gate_plan *p = g->plan;
    bool held = p->stage == GATE_AFTER_CALL && g->state == OPEN && t->number == p->hold_task;
    if (held && t->call.nr == p->hold_call && ++g->calls == p->hold_hit) close_gate(r, t, false);
    if (t == g->taker && waits_for_acquire(r, t) && t->call.nr == p->park_call) park(r, t);
}

// ---- waits

static bool waits_in_futex(const struct task *t) {
    return t->state == TASK_IN_KERNEL && t->call.inside && t->call.nr == SYS_futex &&
           futex_waits(t->call.args);
}

// Nothing but another task ends this wait.
static bool waits_for_a_task(const struct task *t) {
    if (t->state != TASK_IN_KERNEL || !t->call.inside) return false;
    if (syscall_wait(t->call.nr) == WAITS_CHILD) return true;
    return waits_in_futex(t) && !t->call.args[3];
}

static bool all_wait_for_tasks(const struct recorder *r, const struct task *but) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t != but && !waits_for_a_task(t)) return false;
    return true;
}

static bool word_is_of_the_lock(const struct gate *g, const struct task *t) {
    return g->out->lock && t->call.args[0] + 4 > g->out->lock && t->call.args[0] < g->out->lock + LOCK_SIZE;
}

static void refuted_by(struct recorder *r, struct task *forker, const char *seen) {
    struct gate *g = r->gate;
    char where[256] = "";
    bool futex = waits_in_futex(forker);
    bool asleep = forker->state == TASK_IN_KERNEL && forker->call.inside;
    g->out->word = futex ? forker->call.args[0] : 0;
    g->out->position = asleep ? forker->call.regs.rip : forker->landmark.rip;
    if (r->options->name_pc) {
        if (r->tsc_traps) clock_trap_tsc(false);
        r->options->name_pc(forker->process->pid, g->out->position, where, sizeof where);
        if (r->tsc_traps) clock_trap_tsc(true);
    }
    bool protected = g->in_function && futex && word_is_of_the_lock(g, forker);
    decide(r, protected ? GATE_ATFORK_PROTECTED : GATE_HOLDER_NEEDED,
           "%s: task %d, on its way to the fork at pc 0x%" PRIx64 "%s%s, %s%s", seen, g->out->forker,
           g->out->position, *where ? " in " : "", where,
           !futex      ? "does not get there"
           : protected ? "waits for that lock itself, inside fork()"
                       : "waits on a futex",
           "");
}

// The parked task goes on until it waits itself.
static void lend(struct recorder *r) {
    struct gate *g = r->gate;
    g->lends++;
    g->asking_waits = 0;
    g->lent = g->parked;
    g->parked = NULL;
    note(r, g->lent,
         "task %d goes on, with the lock, until it waits: task %d waits for something else that it may have",
         g->lent->tid, g->out->forker);
    enter_state(r, LENT);
}

static void look_at_lent(struct recorder *r) {
    struct gate *g = r->gate;
    struct task *t = g->lent;
    if (!waits_in_futex(t) || task_state_letter(t->tid) != 'S') return;
    if (taking_is_zero(t, g->out->lock) != g->zero) {
        given_back(r);
        return;
    }
    note(r, t, "task %d waits, with the lock, and is parked again", t->tid);
    g->parked = t;
    g->lent = NULL;
    g->alone = false;
    enter_state(r, PARKED);
}

// Waits with a timeout for something that is not the lock: does it ask the parked task to give it away?
static void look_at_asking(struct recorder *r) {
    struct gate *g = r->gate;
    uint64_t now = events(r);
    if (!g->forker->call.args[3] || now == g->last_wait) return;
    g->last_wait = now;
    if (++g->asking_waits >= ASKING_WAITS && g->lends < LENDS_MAX) lend(r);
}

// A wait for the lock that the parked task holds ends when that goes on, not before.
static void look_at_forker(struct recorder *r) {
    struct gate *g = r->gate;
    struct task *t = g->forker;
    if (t->yielded || served_since(r, now_us(r), g->since_us) > ALONE_US) g->alone = false;
    if (!waits_in_futex(t) || task_state_letter(t->tid) != 'S') return;
    if (!word_is_of_the_lock(g, t)) {
        look_at_asking(r);
        return;
    }
    if (t->call.args[3]) {
        uint64_t now = events(r);
        if (now != g->last_wait) g->timed_waits++;
        g->last_wait = now;
        if (g->timed_waits < TIMED_WAITS) return;
    }
    refuted_by(r, t, "the lock is taken before the fork");
}

// HELD: nobody came to the lock, or who did has not come to where he is to be parked.
static void never_concurrent(struct recorder *r, const char *when) {
    const struct gate *g = r->gate;
    if (g->taker)
        decide(r, GATE_NEVER_CONCURRENT, "task %d took the lock there, but did not come back from %s %s",
               g->taker->tid, syscall_name(g->plan->park_call), when);
    else
        decide(r, GATE_NEVER_CONCURRENT, "no other task took the lock there %s", when);
}

static void bound_reached(struct recorder *r) {
    struct gate *g = r->gate;
    char bound[100];
    snprintf(bound, sizeof bound, "within %" PRIu64 " events and %" PRIu64 " ms", g->plan->bound_events,
             g->plan->bound_ms);
    switch (g->state) {
    case HELD:
        never_concurrent(r, bound);
        return;
    case TAKEN:
        decide(r, GATE_NEVER_CONCURRENT, "no fork came while the lock was held, %s", bound);
        return;
    case PARKED: {
        char seen[160];
        snprintf(seen, sizeof seen, "no fork %s while the holder is parked", bound);
        refuted_by(r, g->forker, seen);
        return;
    }
    case LENT:
        decide(r, GATE_HOLDER_NEEDED, "task %d, which has the lock, neither waited nor gave it back %s",
               g->lent->tid, bound);
        return;
    default: // the child may take its time: nobody waits for it
        note(r, NULL, "task %d is released: the child is not decided %s", g->parked->tid, bound);
        g->parked = NULL;
        g->state = WATCH;
        return;
    }
}

static bool bound_is_over(const struct recorder *r, uint64_t us) {
    const struct gate *g = r->gate;
    return trace_event_count(r->trace) - g->since_event >= g->plan->bound_events ||
           served_since(r, us, g->since_us) >= g->plan->bound_ms * 1000;
}

// A task that spins has no landmark by itself: the forking one in a fork handler, for the lock of the parked one.
static bool gate_due(const struct recorder *r) {
    const struct gate *g = r->gate;
    if (g->state == OPEN || g->state >= WATCH) return false;
    bool alone = g->state == PARKED && g->alone && served_since(r, r->clock_us, g->since_us) > ALONE_US;
    return alone || bound_is_over(r, r->clock_us);
}

static void gate_poll(struct recorder *r) {
    struct gate *g = r->gate;
    if (g->state == OPEN || g->state >= WATCH) return;
    if (g->state == PARKED) look_at_forker(r);
    if (g->state == LENT) look_at_lent(r);
    if (g->state < WATCH && bound_is_over(r, now_us(r))) bound_reached(r);
}

// AFTER_ACQUIRE: every other task waits, and so none can make the fork while the lock is held.
static void all_wait_before_fork(struct recorder *r) {
    struct gate *g = r->gate;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (t == g->parked || t->mm != g->parked->mm || !waits_in_futex(t) || !word_is_of_the_lock(g, t))
            continue;
        g->out->word = t->call.args[0];
        g->out->position = t->call.regs.rip;
        g->out->all_wait = true;
        decide(r, GATE_HOLDER_NEEDED,
               "no fork can come while the lock is held: every other task waits, task %d for that lock",
               t->tid);
        return;
    }
    decide(r, GATE_NEVER_CONCURRENT, "no fork can come while the lock is held: every other task waits");
}

static bool gate_let_go(struct recorder *r) {
    struct gate *g = r->gate;
    if (g->state != FORKED || !g->parked) return false;
    note(r, NULL, "task %d is released: the child spins", g->parked->tid);
    g->parked = NULL;
    g->state = WATCH;
    return true;
}

static bool gate_child_loops(const struct recorder *r) {
    const struct gate *g = r->gate;
    bool loops = false;
    if (g->state != FORKED && g->state != WATCH) return false;
    for (const struct task *t = r->tasks; t; t = t->next) {
        if (t->process->pid != g->child) continue;
        if (!loop_waits(t) && !waits_for_a_task(t)) return false;
        loops |= loop_waits(t);
    }
    return loops;
}

static bool descends(const struct recorder *r, int pid, int from) {
    for (int generations = 0; pid != from && generations < 1000; generations++) {
        const struct process *p = r->processes;
        while (p && p->pid != pid)
            p = p->next;
        if (!p) return false;
        pid = p->parent_pid;
    }
    return pid == from;
}

// Whatever kind of word it is: in the child nobody else can free what the parked task had taken.
static bool gate_lock_awaited(const struct recorder *r, const struct task *t) {
    const struct gate *g = r->gate;
    return (g->state == FORKED || g->state == WATCH) && waits_in_futex(t) && word_is_of_the_lock(g, t) &&
           descends(r, t->process->pid, g->child);
}

// Nobody whom the gate lets run can. True: somebody has been released.
static bool gate_idle(struct recorder *r) {
    struct gate *g = r->gate;
    switch (g->state) {
    case HELD:
        if (!all_wait_for_tasks(r, g->forker)) return false; // a timer, a pipe: until the bound
        never_concurrent(r, "before all others waited");
        return true;
    case TAKEN:
        if (!all_wait_for_tasks(r, g->parked)) return false;
        all_wait_before_fork(r);
        return true;
    case PARKED:
        if (!all_wait_for_tasks(r, g->parked)) return false;
        g->out->all_wait = true;
        refuted_by(r, g->forker, "nobody can run while the holder is parked");
        return true;
    case FORKED: // what the child inherited stays as it is whatever the parent does
        note(r, NULL, "task %d is released: nobody else can run", g->parked->tid);
        g->parked = NULL;
        g->state = WATCH;
        return true;
    default:
        return false;
    }
}

// ---- the child, and ends

static void gate_exec(struct recorder *r, struct task *t) {
    if ((r->gate->state == FORKED || r->gate->state == WATCH) && t->process->pid == r->gate->child)
        decide(r, GATE_CHILD_WENT_ON, "the child %d calls exec", r->gate->child);
}

static void gate_ended(struct recorder *r, struct task *t, int status) {
    struct gate *g = r->gate;
    bool child =
        (g->state == FORKED || g->state == WATCH) && t->process->pid == g->child && t->process->refs == 1;
    if (child && WIFSIGNALED(status))
        decide(r, GATE_CHILD_DIED, "signal %d ended the child %d", WTERMSIG(status), g->child);
    else if (child)
        decide(r, GATE_CHILD_WENT_ON, "the child %d ended with status %d", g->child, WEXITSTATUS(status));
    if (t == g->landing) g->landing = NULL;
    if (t == g->taker) g->taker = NULL;
    if (g->state >= TAKEN && g->state <= LENT && (t == g->forker || t == g->parked || t == g->lent))
        decide(r, GATE_UNDECIDED, "task %d ended while the gate was closed", t->tid);
    if (g->state == FORKED && t == g->parked) {
        g->parked = NULL;
        g->state = WATCH;
    }
}

static void gate_end(struct recorder *r) {
    struct gate *g = r->gate;
    g->ends = true;
    switch (g->state) {
    case DONE:
        return;
    case OPEN:
        if (lock_first(g) && !g->site_found)
            decide(r, GATE_NO_SITE, "%s", g->problem);
        else if (lock_first(g))
            decide(r, GATE_NEVER_CONCURRENT, "the lock was taken there %" PRIu64 " time%s, not %" PRIu64,
                   g->out->acquires, g->out->acquires == 1 ? "" : "s", g->plan->acquire_hit);
        else if (g->plan->stage == GATE_AFTER_CALL)
            decide(r, GATE_NO_FORK,
                   "task number %" PRIu32 " came back from %s %" PRIu64 " time%s, not %" PRIu64,
                   g->plan->hold_task, syscall_name(g->plan->hold_call), g->calls, g->calls == 1 ? "" : "s",
                   g->plan->hold_hit);
        else
            decide(r, GATE_NO_FORK, "the program made %" PRIu64 " fork%s%s, not %" PRIu64, g->out->forks,
                   g->out->forks == 1 ? "" : "s", g->plan->at_site ? " at that site" : "", g->plan->fork);
        return;
    case FORKED:
    case WATCH:
        if (r->result->stuck && descends(r, r->result->stuck_pid, g->child)) {
            decide(r, GATE_CHILD_STUCK, "task %d of process %d waits for ever (%s)", r->result->stuck_tid,
                   r->result->stuck_pid, r->result->proved ? "proved" : "likely");
            return;
        }
        break;
    default:
        break;
    }
    if (r->result->stuck)
        decide(r, GATE_UNDECIDED, "task %d of process %d waits for ever, which is not the gate's child",
               r->result->stuck_tid, r->result->stuck_pid);
    else
        decide(r, GATE_UNDECIDED, "the recording ended before");
}

// Several may want a landmark. Behind the instruction is where the acquire site wants it, so that comes first.
static enum break_wish gate_at_breakpoint(struct recorder *r, struct task *t, const struct breakpoint *b,
                                          const struct user_regs_struct *regs) {
    enum break_wish wish = b->on & BREAK_ACQUIRE ? gate_acquire(r, t, regs) : WISH_PASS;
    if (!wish && b->on & BREAK_RETURN) wish = gate_return(r, t, regs);
    if (!wish && b->on & BREAK_FORK) wish = gate_fork_entry(r, t, regs);
    return wish;
}

static const struct recorder_hooks gate_hooks = {
    .holds = gate_holds,
    .poll = gate_poll,
    .due = gate_due,
    .idle = gate_idle,
    .patient = gate_child_loops,
    .returned = gate_returned,
    .at_clone = gate_at_clone,
    .forked = gate_forked,
    .exec = gate_exec,
    .ended = gate_ended,
    .end = gate_end,
    .at_breakpoint = gate_at_breakpoint,
    .landed = gate_landed,
    .lock_is_lost = gate_lock_awaited,
    .release = gate_let_go,
};

void gate_begin(struct recorder *r) {
    struct gate *g = calloc(1, sizeof *g);
    rf_assert(g);
    g->plan = &r->options->schedule->gate;
    g->out = &r->result->gate;
    char text[600];
    code_place_format(&g->plan->acquire, text, sizeof text);
    snprintf(g->problem, sizeof g->problem, "no mapped file has the acquire site %.200s", text);
    g->word = g->plan->word.offset; // where it is already an address
    r->gate = g;
    hooks_add(r, &gate_hooks);
}

void gate_free(struct recorder *r) {
    if (!r->gate) return;
    free(r->gate->returns);
    free(r->gate);
    r->gate = NULL;
}

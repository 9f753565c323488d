// Schedules that depend on the program alone, not on time: which task runs is decided at steps, and steps are counted
// the same way in every run. A step is a landmark of a task's own (a syscall, a trapped instruction, a breakpoint) or a
// library call (the PLT clock), while more than one task could run. Time slices do not exist here; only what makes no
// step for long is interrupted.
#include "recorder/plan/strategy.h"

#include "core/array.h"
#include "core/random.h"
#include "core/calls/syscalls.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/plan/roles.h"
#include "recorder/plan/schedule.h"
#include "recorder/plan/task_plan.h"
#include "recorder/end/served.h"
#include "recorder/outside.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"
#include "recorder/slices.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    RANDOM_MEAN = 24, // steps between random choices
    // A task that has had so many in a row while others could run gives way, as if it yielded (PCT, delays: a loop
    // that polls would go on for ever).
    STARVE_STEPS = 20000,
    // The same without any landmark in so many ticks of the timer: a busy loop. Its place is not reproduced. Ticks pass while the
    // recorder waits, also when the machine runs something else: it is to have run for half of that time.
    STARVE_TICKS = 100,
    // ... of a task that runs outside of all segments: a child that spins for ever is known after a dozen slices. With 100
    // here, `refork minimize` takes 1.6 to 2 times as much CPU time (perf stat -e task-clock, three times each, of
    // samples/spin_ttas.c 3.8 to 4.0 s become 6.4 to 8.2, of spin_ticket.c 3.4 to 3.7 become 6.2 to 6.5).
    STARVE_TICKS_BESIDE = 20,
    // Some ask at each landmark: what a task has run is not read before the second time without one.
    FIRST_TICKS = 2,
};

struct strategist {
    const struct schedule *plan;
    enum strategy kind;
    struct schedule *saved; // the switches made, NULL: not wanted
    uint64_t steps, random;
    bool many;   // more than one task could run when the slice began
    uint32_t mm; // the space whose count this is, at the slice's begin
    uint64_t count;
    uint32_t runner; // task that has had the CPU since step `since`, its number
    uint64_t since;
    unsigned ticks;  // since the last choice
    uint64_t ran_us; // that the task had run at the second of them
    bool busy;       // and has run for long since
    uint64_t points[PCT_DEPTH_MAX], values[PCT_DEPTH_MAX];
    size_t point_count, next; // of points, or of the plan's switches or segments
    uint64_t *priorities;     // of the first tasks
    int64_t lowest, highest;
    uint64_t misfits, first_misfit;
    uint64_t segment_steps; // that the task whose segment it is had made when it was last looked at
    bool starves;           // the present task has made nothing for long that counts
};

static void strategist_end(struct recorder *r) {
    struct strategist *s = r->strategist;
    r->result->steps = s->steps;
    if (s->misfits && s->kind == STRATEGY_SEGMENTS)
        log_note(r, NULL,
                 "the schedule did not fit: in %llu of its segments the task ended too early, the first at "
                 "step %llu",
                 (unsigned long long)s->misfits, (unsigned long long)s->first_misfit);
    else if (s->misfits)
        log_note(r, NULL,
                 "the schedule did not fit: %llu of its switches name a task that could not run, the first "
                 "at step %llu",
                 (unsigned long long)s->misfits, (unsigned long long)s->first_misfit);
}

// A task that was woken is on its way to its stop: whether the recorder sees it there already must not depend on luck.
static void settle_wakeups(struct recorder *r) {
    for (struct task *t = r->tasks; t; t = t->next)
        while (t->state == TASK_IN_KERNEL) {
            int status;
            if (waitpid(t->tid, &status, __WALL | WNOHANG) == t->tid) {
                leave_stop(t, status);
                break;
            }
            char letter = task_state_letter(t->tid);
            if (letter != 'R' && letter != 't') break;
            sched_yield();
        }
}

static struct task *next_in_round(struct recorder *r, const struct task *c) {
    struct task *first = NULL;
    bool behind = false;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (t != c && may_run(r, t)) {
            if (behind) return t;
            if (!first) first = t;
        }
        if (t == c) behind = true;
    }
    return first ? first : c && may_run(r, c) ? (struct task *)c : NULL;
}

static int64_t priority_of(struct strategist *s, struct task *t) {
    struct task_plan *p = plan_of(t);
    if (!p->ranked) {
        p->ranked = true;
        p->priority = t->number <= s->plan->threads
                          ? (int64_t)s->priorities[t->number - 1]
                          : (int64_t)(s->plan->depth + random_next(&s->random) % s->plan->threads);
    }
    return p->priority;
}

// Two tasks that sleep in turns would keep a third one of lower priority from running for ever.
static void notice_waiting(struct recorder *r, const struct task *c) {
    struct strategist *s = r->strategist;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (t == c || !may_run(r, t)) plan_of(t)->waits_from = s->steps;
        if (s->steps - plan_of(t)->waits_from <= STARVE_STEPS) continue;
        plan_of(t)->ranked = true;
        plan_of(t)->priority = ++s->highest;
    }
}

static struct task *choose_pct(struct recorder *r, struct task *c, bool gives_way) {
    struct strategist *s = r->strategist;
    notice_waiting(r, c);
    if (c && gives_way) {
        plan_of(c)->ranked = true;
        plan_of(c)->priority = --s->lowest;
    }
    for (; s->next < s->point_count && s->points[s->next] <= s->steps; s->next++) {
        if (!c || gives_way) continue;
        plan_of(c)->ranked = true;
        plan_of(c)->priority = (int64_t)s->values[s->next];
    }
    struct task *best = NULL;
    for (struct task *t = r->tasks; t; t = t->next)
        if (may_run(r, t) && (!best || priority_of(s, t) > priority_of(s, best))) best = t;
    return best;
}

static struct task *choose_random(struct recorder *r, struct task *keep, unsigned ready) {
    struct strategist *s = r->strategist;
    if (keep && s->steps < s->points[0]) return keep;
    s->points[0] = s->steps + 1 + random_next(&s->random) % (2 * RANDOM_MEAN);
    s->point_count = 1;
    unsigned k = (unsigned)(random_next(&s->random) >> 33) % ready;
    for (struct task *t = r->tasks; t; t = t->next)
        if (may_run(r, t) && !k--) return t;
    return NULL;
}

static struct task *choose_delay(struct recorder *r, struct task *c, struct task *keep) {
    struct strategist *s = r->strategist;
    for (; s->next < s->point_count && s->points[s->next] <= s->steps; s->next++)
        keep = NULL;
    return keep ? keep : next_in_round(r, c);
}

static struct task *choose_listed(struct recorder *r, struct task *c, struct task *keep) {
    struct strategist *s = r->strategist;
    struct task *listed = NULL;
    for (; s->next < s->plan->switch_count && s->plan->switches[s->next].step <= s->steps; s->next++) {
        const struct schedule_switch *w = &s->plan->switches[s->next];
        listed = NULL;
        for (struct task *t = r->tasks; t; t = t->next)
            if (t->number == w->task && may_run(r, t)) listed = t;
        if (!listed && !s->misfits++) s->first_misfit = w->step;
    }
    return listed ? listed : keep ? keep : next_in_round(r, c);
}

// ---- segments

// As the trace counts them: a call that t is in has been entered, though its event may still be to come.
static uint64_t own_steps(const struct recorder *r, const struct task *t) {
    return t->own_steps + (r->deferred == t && t->call.inside);
}

// Only time ends this sleep. (A futex with a timeout waits for somebody all the same.)
static bool sleeps_for_time(const struct task *t) {
    if (t->state != TASK_IN_KERNEL || !t->call.inside) return false;
    return syscall_only_sleeps(t->call.nr, t->call.args) && syscall_has_timeout(t->call.nr, t->call.args);
}

static struct task *task_numbered(struct recorder *r, uint32_t number) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (t->number == number) return t;
    return NULL;
}

// Whose segment it is, NULL: nobody's, or of a task that is still to be born. Segments that are over are left behind.
static struct task *segment_task(struct recorder *r) {
    struct strategist *s = r->strategist;
    for (; s->next < s->plan->segment_count; s->next++) {
        const struct schedule_segment *segment = &s->plan->segments[s->next];
        struct task *t = task_numbered(r, segment->task);
        if (!t && segment->task > r->task_numbers) return NULL;
        if (t) s->segment_steps = own_steps(r, t);
        // Where the place is missed the next step ends it.
        if (t && s->segment_steps < segment->step + (segment->place != 0)) return t;
        // The step behind the last one is its end.
        if (!t && s->segment_steps + 1 < segment->step && !s->misfits++) s->first_misfit = segment->step;
    }
    return NULL;
}

static bool strategist_segment_ends(struct recorder *r, const struct task *t, const struct breakpoint *b,
                                    bool *behind) {
    struct strategist *s = r->strategist;
    if (!s || s->kind != STRATEGY_SEGMENTS || segment_task(r) != t) return false;
    const struct schedule_segment *segment = &s->plan->segments[s->next];
    if (!segment->place || !(b->segments >> (segment->place - 1) & 1)) return false;
    *behind = s->plan->segment_places[segment->place - 1].behind;
    uint64_t calls = s->mm == t->mm->id ? clock_count(t->mm) - s->count : 0; // since it was resumed
    return own_steps(r, t) + calls >= segment->step;
}

static void strategist_segment_over(struct recorder *r, const struct task *t, const struct breakpoint *b) {
    bool behind;
    if (strategist_segment_ends(r, t, b, &behind)) r->strategist->next++;
}

// Nobody else runs while the task whose segment it is sleeps for a time: so the order does not depend on how fast the
// others are. When it waits for something else, the others may have to make that happen.
static struct task *choose_segment(struct recorder *r, struct task *c, struct task *keep) {
    struct task *t = segment_task(r);
    if (t && may_run(r, t) && !(t == c && r->strategist->starves)) return t;
    if (t && sleeps_for_time(t)) return NULL;
    return keep ? keep : next_in_round(r, c);
}

static struct task *choose(struct recorder *r, struct task *c, bool gives_way, unsigned ready) {
    struct task *keep = c && may_run(r, c) && !gives_way ? c : NULL;
    switch (r->strategist->kind) {
    case STRATEGY_PCT:
        return choose_pct(r, c, gives_way);
    case STRATEGY_RANDOM:
        return choose_random(r, keep, ready);
    case STRATEGY_DELAY:
        return choose_delay(r, c, keep);
    case STRATEGY_SWITCHES:
        return choose_listed(r, c, keep);
    case STRATEGY_SEGMENTS:
        return choose_segment(r, c, keep);
    default:
        return keep;
    }
}

// What STRATEGY_SWITCHES does without an entry is not written down.
static void save(struct strategist *s, const struct task *usual, const struct task *chosen) {
    struct schedule *to = s->saved;
    if (!to || !chosen || chosen == usual) return;
    array_push(to->switches, to->switch_count, (struct schedule_switch){s->steps, chosen->number});
}

// The steps of the slice that ends here: its library calls, of which a tick is one, and the landmark.
static void count_steps(struct strategist *s, struct task *c, unsigned ready) {
    if (c && s->mm == c->mm->id) {
        uint64_t count = clock_count(c->mm);
        if (s->many) s->steps += count - s->count;
        c->own_steps += count - s->count;
        s->count = count;
    }
    s->many = ready > 1;
    if (s->many && !(c && c->at_tick)) s->steps++;
}

static unsigned starve_ticks(struct recorder *r) {
    bool beside = r->strategist->kind == STRATEGY_SEGMENTS && segment_task(r) != r->current;
    return beside ? STARVE_TICKS_BESIDE : STARVE_TICKS;
}

static struct task *strategist_choose(struct recorder *r) {
    struct strategist *s = r->strategist;
    struct task *c = r->current;
    settle_wakeups(r);
    unsigned ready = 0;
    for (struct task *t = r->tasks; t; t = t->next)
        ready += may_run(r, t);
    count_steps(s, c, ready);
    if (!ready) return NULL;
    bool limited = s->kind == STRATEGY_PCT || s->kind == STRATEGY_DELAY;
    bool starves = s->many && c && c->number == s->runner &&
                   ((limited && s->steps - s->since > STARVE_STEPS) || s->busy);
    s->ticks = 0;
    s->busy = false;
    s->starves = starves;
    // A loop that sleeps between its looks is as little to be waited for as one that yields.
    bool gives_way = c && (c->yielded || (plan_of(c)->slept && s->kind == STRATEGY_PCT) || starves);
    struct task *usual = c && may_run(r, c) && !c->yielded ? c : next_in_round(r, c), *next;
    if (s->kind == STRATEGY_NONE) {
        next = slices_choose(r);
        if (s->many) save(s, usual, next);
        return next;
    }
    // A segment may be that of a task that is asleep.
    next = s->many || s->kind == STRATEGY_SEGMENTS ? choose(r, c, gives_way, ready) : next_in_round(r, NULL);
    if (!next) return NULL;
    if (s->many) save(s, usual, next);
    if (c) c->yielded = plan_of(c)->slept = false;
    if (next->number != s->runner || starves || !s->many) {
        s->runner = next->number;
        s->since = s->steps;
    }
    if (next == c) return next;
    r->result->switches++;
    slice_begin(r, next);
    return next;
}

static void calls_made(struct recorder *r, uint64_t count) {
    if (r->strategist->many) r->strategist->steps += count;
}

// When a task that could run has waited too long (notice_waiting).
static uint64_t waits_until(const struct recorder *r, const struct task *but) {
    uint64_t first = ~0ull;
    for (struct task *t = r->tasks; t; t = t->next)
        if (t != but && may_run(r, t) && plan_of(t)->waits_from + STARVE_STEPS + 1 < first)
            first = plan_of(t)->waits_from + STARVE_STEPS + 1;
    return first;
}

// The next step at which the strategy has something to do: there the PLT clock shall tick.
static uint64_t next_point(const struct strategist *s) {
    bool limited = s->kind == STRATEGY_PCT || s->kind == STRATEGY_DELAY;
    uint64_t next = limited ? s->since + STARVE_STEPS + 1 : ~0ull, planned = ~0ull;
    if (s->kind == STRATEGY_SWITCHES && s->next < s->plan->switch_count)
        planned = s->plan->switches[s->next].step;
    if (s->kind != STRATEGY_SWITCHES && s->next < s->point_count) planned = s->points[s->next];
    return planned < next ? planned : next;
}

static void strategist_resume(struct recorder *r, struct task *t) {
    struct strategist *s = r->strategist;
    if (!t->mm->annex || !t->at_landmark) return; // else: in the middle of a slice
    t->at_tick = false;
    s->mm = t->mm->id;
    s->count = clock_count(t->mm);
    if (s->kind == STRATEGY_NONE || t->interrupt_wanted) return;
    if (s->kind == STRATEGY_SEGMENTS) {
        uint64_t own = own_steps(r, t);
        bool limited = segment_task(r) == t;
        const struct schedule_segment *segment = &s->plan->segments[s->next];
        clock_set_limit(t->mm, limited ? s->count + segment->step + (segment->place != 0) - own : ~0ull);
        return;
    }
    uint64_t point = s->many ? next_point(s) : ~0ull, waits = ~0ull;
    if (s->many && s->kind == STRATEGY_PCT) waits = waits_until(r, t);
    if (waits < point) point = waits;
    clock_set_limit(t->mm, point == ~0ull ? ~0ull : s->count + (point > s->steps ? point - s->steps : 1));
}

static bool strategist_slice_over(struct recorder *r) {
    struct strategist *s = r->strategist;
    const unsigned limit = starve_ticks(r);
    if (!r->current) return false;
    s->ticks++;
    if (s->ticks == FIRST_TICKS) s->ran_us = served_task_us(r->current);
    if (s->ticks <= limit) return false;
    uint64_t now = served_task_us(r->current);
    s->busy = !now || now - s->ran_us >= (uint64_t)limit * TICK_US / 2;
    return s->busy;
}

static void call_begins(struct recorder *r, struct task *t) {
    (void)r;
    plan_of(t)->slept = syscall_wait(t->call.nr) == WAITS_TIME;
}

static enum break_wish at_breakpoint(struct recorder *r, struct task *t, const struct breakpoint *b,
                                     const struct user_regs_struct *regs) {
    bool behind;
    (void)regs;
    if (!(b->on & BREAK_SEGMENT) || !strategist_segment_ends(r, t, b, &behind)) return WISH_PASS;
    return behind ? WISH_BEHIND : WISH_LAND;
}

static void landed(struct recorder *r, struct task *t, const struct breakpoint *b) {
    if (b->on & BREAK_SEGMENT) strategist_segment_over(r, t, b);
}

static const struct recorder_hooks strategy_hooks = {
    .choose = strategist_choose,
    .slice_over = strategist_slice_over,
    .resume = strategist_resume,
    .calls_made = calls_made,
    .call_begins = call_begins,
    .end = strategist_end,
    .at_breakpoint = at_breakpoint,
    .landed = landed,
};

// refork's own time slices, or --chaos, whose switches are written down.
static const struct recorder_hooks saving_hooks = {
    .choose = strategist_choose,
    .resume = strategist_resume,
    .calls_made = calls_made,
    .call_begins = call_begins,
    .end = strategist_end,
};

void strategist_begin(struct recorder *r) {
    const struct schedule *plan = r->options->schedule;
    struct strategist *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->plan = plan;
    s->kind = plan ? plan->strategy : STRATEGY_NONE;
    s->saved = r->options->saved;
    if (plan) s->random = plan->seed;
    if (s->kind == STRATEGY_PCT) {
        s->highest = (int64_t)(plan->depth + plan->threads);
        s->priorities = calloc(plan->threads, sizeof *s->priorities);
        rf_assert(s->priorities);
        pct_priorities(plan->seed, plan->threads, plan->depth, s->priorities);
        s->point_count = pct_change_points(plan->seed, plan->steps, plan->depth, s->points);
        // Which of the d-1 lowest priorities belongs to which change point is random, too.
        pct_priorities(~plan->seed, s->point_count, 1, s->values);
    }
    if (s->kind == STRATEGY_DELAY)
        s->point_count = pct_change_points(plan->seed, plan->steps, plan->depth + 1, s->points);
    r->strategist = s;
    hooks_add(r, s->kind == STRATEGY_NONE ? &saving_hooks : &strategy_hooks);
}

void strategist_free(struct recorder *r) {
    if (!r->strategist) return;
    free(r->strategist->priorities);
    free(r->strategist);
    r->strategist = NULL;
}

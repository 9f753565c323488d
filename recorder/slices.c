#include "recorder/slices.h"

#include "core/random.h"
#include "recorder/hooks.h"
#include "recorder/outside.h"
#include "recorder/plan/schedule.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"

// CHAOS_LONG: long slices were 64 times as long while each landmark was a stop; the slice's time then ended most of them after
// some 200. Where calls are made without a stop they are to be no longer.
enum { SLICE_US = 5000, SPIN_US = 400, CHAOS_MEAN = 24, CHAOS_LONG = 12 };

static uint64_t chaos_random(struct recorder *r) {
    return random_next(&r->rng);
}

static bool can_run(const struct task *t) {
    return t->state == TASK_READY || t->state == TASK_RETURNED;
}

bool may_run(const struct recorder *r, const struct task *t) {
    return can_run(t) && !hooks_hold(r, t);
}

bool others_ready(struct recorder *r, struct task *t) {
    if (hooks_due(r)) return true;
    for (struct task *o = r->tasks; o; o = o->next)
        if (o != t && may_run(r, o)) return true;
    return false;
}

void slice_begin(struct recorder *r, struct task *t) {
    r->current = t;
    // What it waits for comes from the others, who have the CPU for so long as it has not.
    bool short_one = t->spins && !r->options->chaos && others_ready(r, t);
    r->slice_end_us = r->clock_us + (short_one ? SPIN_US : SLICE_US);
    if (short_one) outside_tick_in(SPIN_US);
    // 1..2*mean landmarks; one slice in eight is long, so that a task also gets far ahead at times.
    if (r->options->chaos) {
        uint64_t x = chaos_random(r);
        r->chaos_left = 1 + (x >> 8) % ((x & 7) ? CHAOS_MEAN * 2 : CHAOS_MEAN * CHAOS_LONG);
    }
}

static bool chaos_lowers(struct recorder *r) {
    return (chaos_random(r) & 3) == 0;
}

void chaos_limit(struct recorder *r, struct task *t) {
    if (!r->options->chaos || !t->mm->annex || t->mm->limit_lowered) return;
    bool lowers = r->chaos_lowers || chaos_lowers(r);
    r->chaos_lowers = false;
    if (lowers) clock_set_limit(t->mm, clock_count(t->mm) + 1 + (chaos_random(r) & 63));
}

static uint64_t calls_until_chaos(struct recorder *r, struct task *t) {
    uint64_t most = r->chaos_left ? r->chaos_left - 1 : 0, n = 0;
    if (t->mm->limit_lowered) return most;
    while (n < most && !(r->chaos_lowers = chaos_lowers(r)))
        n++;
    return n;
}

static bool somebody_sleeps(const struct recorder *r) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t->state == TASK_IN_KERNEL) return true;
    return false;
}

uint64_t calls_until_choice(struct recorder *r, struct task *t) {
    // So many take about as long as one call at a stop.
    enum { LOOKED_AT_LATE = 64 };
    uint64_t n = r->options->chaos ? calls_until_chaos(r, t) : ~0ull, most = ~0ull;
    if (r->strategist && somebody_sleeps(r)) most = LOOKED_AT_LATE;
    if (r->options->paranoid_every) {
        uint64_t left = r->options->paranoid_every - r->since_digest;
        if (left - 1 < most) most = left - 1;
    }
    return n < most ? n : most;
}

void calls_were_made(struct recorder *r, uint64_t count) {
    r->chaos_left = r->chaos_left > count ? r->chaos_left - count : 0;
    if (r->options->paranoid_every) r->since_digest += count;
}

uint64_t calls_cost(const struct recorder *r) {
    const struct schedule *s = r->options->schedule;
    if (!r->strategist || !s || !s->strategy) return 0;
    return s->strategy == STRATEGY_SEGMENTS ? event_own_steps(EV_SYSCALL) : 1;
}

bool slice_over(struct recorder *r) {
    const struct recorder_hooks *chooser = hooks_chooser(r);
    if (chooser && chooser->slice_over) return chooser->slice_over(r);
    return r->clock_us >= r->slice_end_us;
}

// The present task until its slice is over, it yields or it sleeps; else the next in a fair round.
struct task *slices_choose(struct recorder *r) {
    struct task *c = r->current, *first = NULL, *after = NULL;
    bool keep = c && may_run(r, c) && !c->yielded;
    if (keep && r->options->chaos) {
        if (r->chaos_left) r->chaos_left--;
        // A task without landmarks of its own meets one per slice, when the timer makes it: time bounds it, too.
        keep = r->chaos_left > 0 && !slice_over(r);
    } else if (keep) {
        keep = !slice_over(r);
    }
    if (keep) return c;
    collect_stops(r);
    if (c) c->yielded = false;
    bool behind = false;
    unsigned ready = 0;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (may_run(r, t)) {
            ready++;
            if (!first) first = t;
            if (behind && !after) after = t;
        }
        if (t == c) behind = true;
    }
    if (!ready) return NULL;
    struct task *next = after ? after : first;
    if (r->options->chaos && ready > 1) {
        unsigned k = (unsigned)(chaos_random(r) >> 33) % ready;
        for (next = r->tasks; next; next = next->next)
            if (may_run(r, next) && !k--) break;
    }
    if (next != c) r->result->switches++;
    slice_begin(r, next);
    return next;
}

struct task *next_task(struct recorder *r) {
    struct task *c = r->current;
    recent_us(r);
    // In the middle of a slice (a signal was held back, or ignored): nobody else may run.
    if (c && c->state == TASK_READY && !c->at_landmark) return c;
    hooks_poll(r);
    if (r->stop_all) return NULL;
    const struct recorder_hooks *chooser = hooks_chooser(r);
    return chooser ? chooser->choose(r) : slices_choose(r);
}

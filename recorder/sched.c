#include "recorder/engine.h"

enum { SLICE_US = 5000, CHAOS_MEAN = 24 };

// SplitMix64 (Steele, Lea, Flood 2014): any seed is a good seed.
uint64_t chaos_random(struct recorder *r) {
    uint64_t z = r->rng += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static bool can_run(const struct task *t) {
    return t->state == TASK_READY || t->state == TASK_RETURNED;
}

bool others_ready(struct recorder *r, struct task *t) {
    for (struct task *o = r->tasks; o; o = o->next)
        if (o != t && can_run(o)) return true;
    return false;
}

void slice_begin(struct recorder *r, struct task *t) {
    r->current = t;
    r->slice_end_us = r->clock_us + SLICE_US;
    // 1..2*mean landmarks; one slice in eight is long, so that a task also gets far ahead at times.
    if (r->options->chaos) {
        uint64_t x = chaos_random(r);
        r->chaos_left = 1 + (x >> 8) % ((x & 7) ? CHAOS_MEAN * 2 : CHAOS_MEAN * 64);
    }
}

bool slice_over(struct recorder *r) {
    return r->clock_us >= r->slice_end_us;
}

// The task that runs next: the present one until its slice is over, it yields or it sleeps; else the next in
// a fair round.
struct task *schedule(struct recorder *r) {
    struct task *c = r->current, *first = NULL, *after = NULL;
    recent_us(r);
    // In the middle of a slice (a signal was held back, or ignored): nobody else may run.
    if (c && c->state == TASK_READY && !c->at_landmark) return c;
    bool keep = c && can_run(c) && !c->yielded;
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
        if (can_run(t)) {
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
            if (can_run(next) && !k--) break;
    }
    if (next != c) r->result->switches++;
    slice_begin(r, next);
    return next;
}

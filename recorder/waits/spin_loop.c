// Loops without syscalls. When registers and all that was written come back equal, the next iteration will be the same:
// that is proof. A spin that counts its iterations never comes back equal; it is judged as waits are, by loop.c.
#include "recorder/waits/spin_loop.h"

#include "core/guard.h"
#include "recorder/arrivals.h"
#include "recorder/end/served.h"
#include "recorder/own_code.h"
#include "recorder/plt_clock.h"
#include "recorder/signals.h"
#include "recorder/step.h"
#include "recorder/waits/state.h"
#include "recorder/waits/stuck.h"
#include "recorder/waits/wait_loop.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPIN_STEPS = 4096,   // for an iteration that comes back equal: up to half of it long
    FIRST_STEPS = 192,   // ... in the first look at a thread that no fork has left alone
    COUNT_STEPS = 12000, // for an iteration that counts
    FEWEST_STEPS = 128,  // less is no look
    STEP_US = 25,
    LOOK_LATER_MAX = 512,
    MIN_ITERATIONS = 4,
    SOON = 128, // iterations: later than that is for another look
};

struct walk {
    uint64_t pcs[SPIN_STEPS];
    size_t count;
    uint64_t until_us; // of waits.spun_us: the end of its budget
};

// How many steps of t the recording can afford. A budget of its own: many tasks that poll with pauses would use up all, and
// a child that spins would never be looked at. What a fork has left alone is likely to be stuck, and is what is looked
// for: a 25th of the time, and some in advance. A program that only computes shall not notice it.
static size_t affordable_steps(const struct recorder *r, const struct task *t) {
    bool alone = t->process->child_of_threaded;
    uint64_t now = served_us(r, r->clock_us);
    uint64_t all = alone ? (now + 5000000) / 25 : (now + 250000) / 50;
    return all > r->waits->spun_us ? (all - r->waits->spun_us) / STEP_US : 0;
}

bool spin_affordable(const struct recorder *r, const struct task *t) {
    return affordable_steps(r, t) >= FEWEST_STEPS;
}

// One instruction, or as many as a stub of refork's has. False: t is at a landmark, or gone.
static bool advance(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                    struct iteration *iteration) {
    do {
        r->waits->spun_us += STEP_US;
        if (iteration && !own_instruction(t->mm, regs->rip)) iteration_step(t, regs, iteration);
        if (!step(r, t, regs)) return false;
    } while (own_code(t->mm, regs->rip));
    return true;
}

// Brent's way to find a cycle: a state is kept and compared with those that follow, for twice as long each time.
static bool comes_back(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                       struct iteration *iteration, struct walk *walk, bool *landmark) {
    struct user_regs_struct kept = *regs;
    uint64_t fp = tracee_fp_digest(t->tid);
    size_t since = 0, limit = 1;
    walk->count = 0;
    iteration_begin(iteration, 0);
    while (walk->count < SPIN_STEPS && r->waits->spun_us < walk->until_us) {
        walk->pcs[walk->count++] = regs->rip;
        if (!advance(r, t, regs, iteration)) {
            *landmark = true;
            return false;
        }
        if (same_regs(regs, &kept) && !iteration->opaque && iteration_restored(t, iteration) &&
            tracee_fp_digest(t->tid) == fp)
            return true;
        if (++since < limit) continue;
        kept = *regs;
        fp = tracee_fp_digest(t->tid);
        since = 0;
        limit *= 2;
        iteration_begin(iteration, 0);
    }
    return false;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// An instruction of the outermost loop: among those that came back, one that came least often. 0: none did.
static uint64_t outermost(struct walk *walk) {
    uint64_t best = 0;
    size_t fewest = SPIN_STEPS;
    qsort(walk->pcs, walk->count, sizeof *walk->pcs, by_value);
    for (size_t i = 0, n; i < walk->count; i += n) {
        for (n = 1; i + n < walk->count && walk->pcs[i + n] == walk->pcs[i];)
            n++;
        if (n < MIN_ITERATIONS || n >= fewest) continue;
        fewest = n;
        best = walk->pcs[i];
    }
    return best;
}

static bool counts(struct recorder *r, struct task *t, struct user_regs_struct *regs, struct walk *walk,
                   bool *landmark) {
    uint64_t pc = outermost(walk);
    struct loop *l = t->loop;
    if (!pc) return false;
    size_t steps = affordable_steps(r, t);
    uint64_t until_us = r->waits->spun_us + STEP_US * (steps < COUNT_STEPS ? steps : COUNT_STEPS);
    l->anchor.pc = 0;
    while (r->waits->spun_us < until_us) {
        if (regs->rip == pc && !l->anchor.pc)
            loop_anchor(t, -1, regs);
        else if (regs->rip == pc && regs->rsp == l->anchor.sp && loop_visit(r, t, regs))
            return true;
        if (!advance(r, t, regs, l->tracing ? loop_iteration(l) : NULL)) {
            *landmark = true;
            return false;
        }
        // Not soon, or not now: somebody moves who could end it.
        bool later = l->next_look > l->visits + SOON || l->next_look <= l->visits;
        if (l->anchor.pc && !l->tracing && later) return false;
    }
    return false;
}

// `steps`: that it may take to come back.
static void look(struct recorder *r, struct task *t, size_t steps) {
    scoped_free struct walk *walk = malloc(sizeof *walk);
    rf_assert(walk);
    walk->count = 0;
    walk->until_us = r->waits->spun_us + STEP_US * steps;
    struct user_regs_struct regs;
    bool landmark = false;
    if (!tracee_get_regs(t->tid, &regs) || (own_code(t->mm, regs.rip) && !advance(r, t, &regs, NULL))) return;
    struct loop *l = loop_of(t);
    loop_anchor(t, -1, &regs);
    bool fixed = comes_back(r, t, &regs, loop_iteration(l), walk, &landmark) && loop_words(t);
    if (fixed) {
        l->seen = 2;
        loop_learn(r, t, WAIT_SPIN, true);
    }
    bool known = fixed || (!landmark && l->looks && counts(r, t, &regs, walk, &landmark));
    l->tracing = false;
    if (!known) l->kind = WAIT_OUTSIDE;
    if (r->options->log)
        fprintf(r->options->log, "         spin of %d: %s, %d words\n", t->tid,
                fixed      ? "comes back equal"
                : known    ? "counts"
                : landmark ? "met a landmark"
                           : "none",
                l->word_count);
    if (known && !landmark && stuck_possible(r)) landmark_soon(t);
}

bool spin_look(struct recorder *r, struct task *t) {
    struct loop *l = t->loop;
    if (!l || l->busy < l->busy_look || l->stuck_logged) return false;
    l->busy = 0;
    size_t steps = affordable_steps(r, t), most = FIRST_STEPS;
    if (l->spin_looks || t->process->child_of_threaded) most = SPIN_STEPS;
    if (l->busy_look < LOOK_LATER_MAX) l->busy_look *= 2;
    if (steps < FEWEST_STEPS) return false;
    l->spin_looks++;
    t->stepping = t->stepped = true;
    look(r, t, steps < most ? steps : most);
    end_stepping(t);
    return true;
}

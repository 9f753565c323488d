#include "recorder/arrivals.h"

#include "core/array.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/signals.h"
#include "recorder/step.h"

#include <stdlib.h>

static uint64_t count_arrival(struct task *t, uint64_t address) {
    int i = 0;
    while (i < t->arrival_count && t->arrivals[i].address != address)
        i++;
    if (i == t->arrival_count) array_push(t->arrivals, t->arrival_count, (struct arrivals){address, 0});
    return ++t->arrivals[i].count;
}

static void log_break(struct recorder *r, struct task *t, const struct user_regs_struct *regs,
                      const struct breakpoint *b, uint64_t count, enum break_place place) {
    struct batch batch;
    batch_init(r, &batch, EV_BREAK, t);
    batch.e.flags |= EVF_REGS;
    batch.e.regs = *regs;
    batch.e.regs.eflags &= ~EFLAGS_RF;
    batch.e.nr = place;
    batch.e.ret = (int64_t)b->address;
    batch.e.aux = count;
    set_landmark_in_code(t, &batch.e.regs);
    batch_log(r, t, &batch);
    hooks_landed(r, t, b);
}

// t has executed an instruction and stands at regs->rip: if there is a breakpoint, makes the landmark that is wanted.
// False: made, or t is gone; true: t goes on (over the breakpoint) when it is resumed or stepped.
static bool breakpoint_arrived(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    const struct breakpoint *at = breakpoint_at(t->mm, regs->rip);
    if (!at) return true;
    const struct breakpoint b = *at; // the list may change
    uint64_t count = count_arrival(t, b.address);
    t->on_break = true;
    enum break_wish wish = hooks_at_breakpoint(r, t, &b, regs);
    if (wish == WISH_PASS) return true;
    if (wish == WISH_BEHIND && step_raw(r, t, regs) == STEP_GONE)
        return false; // the instruction faulted, or t was killed
    log_break(r, t, regs, &b, count, wish == WISH_BEHIND ? BREAK_BEHIND : BREAK_BEFORE);
    return false;
}

bool step(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    const enum step_result stepped = step_raw(r, t, regs);
    if (stepped == STEP_DONE && t->mm->breaks.count) return breakpoint_arrived(r, t, regs);
    return stepped != STEP_GONE;
}

void breakpoint_trap(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    regs->rip--;
    if (!tracee_set_regs(t->tid, regs)) return; // killed
    t->stepping = true;
    breakpoint_arrived(r, t, regs);
    end_stepping(t);
}

bool breakpoints_leave(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    if (!t->on_break && !(t->at_landmark && breakpoint_at(t->mm, t->landmark.rip))) return true;
    if (!tracee_get_regs(t->tid, &regs)) return true;
    t->on_break = t->stepping = true;
    bool stepped = true;
    while (stepped && t->on_break)
        stepped = step(r, t, &regs);
    end_stepping(t);
    return stepped;
}

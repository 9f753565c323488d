#include "recorder/waits/waits.h"

#include "core/futex.h"
#include "recorder/hooks.h"
#include "recorder/waits/file_waits.h"
#include "recorder/waits/second_look.h"
#include "recorder/waits/spin_loop.h"
#include "recorder/waits/state.h"
#include "recorder/waits/stuck.h"
#include "recorder/waits/wait_loop.h"
#include "recorder/waits/word_owner.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void poll(struct recorder *r) {
    r->waits->rounds++;
    bool lost = word_owner_turn(r);
    if (second_look_turn(r) || lost || stuck_due(r)) stuck_check(r, NULL);
}

static bool due(const struct recorder *r) {
    return r->waits->stuck_since_us || word_owner_due(r) || second_look_due(r);
}

// A loop that is being looked at is undecided, too: how long its iterations take is up to the machine, and one that waits by the
// clock is known by some hundred of them.
static bool undecided(const struct recorder *r) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t->loop && t->loop->looks && !t->loop->stuck_logged) return true;
    return r->waits->stuck_since_us || second_look_runs(r);
}

static bool tick(struct recorder *r, struct task *t) {
    struct loop *l = loop_of(t);
    return ++l->busy >= l->busy_look && !l->stuck_logged && spin_affordable(r, t);
}

static bool idle(struct recorder *r) {
    r->waits->idle_looks++;
    stuck_check(r, NULL);
    return r->stop_all || r->failed;
}

static void resume_task(struct recorder *r, struct task *t) {
    struct waits *w = r->waits;
    w->idle_looks = 0;
    // A look at its loop may take a second: not before what is stuck is told of.
    if (t->loop && w->stuck_since_us) t->loop->busy = 0;
    if (loop_known(t)) return;
    t->mm->epoch++;
    w->epoch++;
}

static bool walk(struct recorder *r, struct task *t) {
    return spin_look(r, t) || loop_run(r, t);
}

static void landmark(struct recorder *r, struct task *t) {
    struct loop *l = loop_of(t);
    l->busy++;
    if (l->kind == WAIT_SPIN) stuck_check(r, t);
}

static bool slept_in_futex(const struct task *t) {
    return t->call.nr == SYS_futex && !t->call.args[3]; // args[3]: the timeout
}

static void disturbed(struct recorder *r, struct task *t) {
    r->result->killed_waiting |= slept_in_futex(t); // its handler may end the process
    loop_forget(t);
}

static void call_begins(struct recorder *r, struct task *t) {
    if (r->waits->woke != t) r->waits->woke = NULL;
    second_look_call(t);
    bool known = loop_entry(r, t);
    if (t->loop) t->loop->came_round = known;
}

static void call_waits(struct recorder *r, struct task *t) {
    if (t->loop && t->loop->came_round) stuck_check(r, t);
}

static void asleep(struct recorder *r, struct task *t) {
    // (Whom it has woken waits no more, and has not begun to wait again. That need not be read of /proc.)
    if (t->call.nr == SYS_futex && r->waits->woke != t) stuck_check(r, t);
}

static void returned(struct recorder *r, struct task *t, int64_t ret) {
    if (ret >= 0) files_call(r, t, ret);
    loop_exit(t, ret);
    second_look_cut(t, ret);
    bool wakes = t->call.nr == SYS_futex && futex_wakes(t->call.args);
    if (wakes && ret > 0 && t->call.args[1] & FUTEX_PRIVATE_FLAG) r->waits->woke = t;
}

static void exec(struct recorder *r, struct task *t) {
    (void)r;
    loop_free(t);
}

static void ended(struct recorder *r, struct task *t, int status) {
    r->waits->woke = NULL;
    r->result->killed_waiting |= WIFSIGNALED(status) && slept_in_futex(t);
    loop_free(t);
}

static void end(struct recorder *r) {
    second_look_end(r);
    word_owner_end(r);
}

static const struct recorder_hooks waits_hooks = {
    .poll = poll,
    .due = due,
    .undecided = undecided,
    .tick = tick,
    .idle = idle,
    .resume = resume_task,
    .walk = walk,
    .interrupted = spin_look,
    .landmark = landmark,
    .disturbed = disturbed,
    .call_begins = call_begins,
    .call_waits = call_waits,
    .asleep = asleep,
    .returned = returned,
    .exec = exec,
    .ended = ended,
    .end = end,
};

void waits_begin(struct recorder *r) {
    r->waits = calloc(1, sizeof *r->waits);
    rf_assert(r->waits);
    hooks_add(r, &waits_hooks);
}

void waits_free(struct recorder *r) {
    files_release(r);
    free(r->waits->go);
    free(r->waits);
    r->waits = NULL;
}

// Waits in a loop: a timed futex wait that is made again, sched_yield, nanosleep. A task that does nothing else is
// looked at instruction by instruction for three iterations. It goes on for ever when each iteration takes the same way
// through the code, touches the same addresses, and each branch goes by numbers that stay as they are or move away
// from where the branch would go the other way. A loop that counts its attempts or looks at the clock comes nearer
// to its end at each iteration, and is left alone.
#include "recorder/waits/wait_loop.h"

#include "core/futex.h"
#include "recorder/arrivals.h"
#include "recorder/end/served.h"
#include "recorder/own_code.h"
#include "recorder/signals.h"
#include "recorder/step.h"
#include "recorder/waits/state.h"
#include "core/calls/syscalls.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum {
    FIRST_LOOK = 6,
    FIRST_SPIN_LOOK = 12,
    MAX_LOOK = 1 << 16,
    LOOK_STEPS =
        40000, // single steps of one look, 20 us each: tcmalloc spins 1000 times before it sleeps again
    STRANGERS = 8,
    CLOCK_US =
        2100000, // a deadline in seconds shows no sooner than when a second has passed: of the program's own clock
    CLOCK_GAP_US = 300000, // between two looks at such a loop, whose iterations may be long
    TURNED_LOOKS = 2,
    CLOCK_LOOKS = 5, // with a clock in the iteration, which begins again now and then
    ASIDE = 6,       // iterations of such a look that may go another way
    GOOD_LOOKS = 3,  // where something changes from iteration to iteration, each farther from the last
    NEVER = 1 << 28, // iterations: the overflow of a counter, as glibc's conditions look out for
};

// ... of a spin, a nanosecond each: all values of 32 bits are tried within seconds, and some programs do just that.
static const double SPIN_NEVER = 0x1p44;

// What a call says about a loop.
enum role {
    ROLE_EFFECT, // from outside, or to the outside: no loop that only waits
    ROLE_WAIT,
    ROLE_QUIET, // tells what is known already
    ROLE_CLOCK,
};

// pthread_kill, perhaps to a thread that does not exist: what it returns says whether it reached one.
static bool to_own_thread(const struct task *t) {
    return t->call.nr == SYS_tgkill && !t->names.depth && (int)t->call.args[0] == t->process->pid;
}

// waitpid with WNOHANG: it returns 0 while the child goes on. (waitid returns 0 always.)
static bool asks_for_child(const struct task *t) {
    return t->call.nr == SYS_wait4 && !syscall_may_block(t->call.nr, t->call.args);
}

static enum role role_of(const struct task *t) {
    if (syscall_wait(t->call.nr) == WAITS_FUTEX) {
        if (futex_wakes(t->call.args)) return ROLE_QUIET;
        return futex_waits(t->call.args) && t->call.args[3] ? ROLE_WAIT : ROLE_EFFECT;
    }
    if (to_own_thread(t) || asks_for_child(t) || t->call.nr == SYS_rt_sigprocmask) return ROLE_QUIET;
    switch (syscall_effect(t->call.nr)) {
    case EFFECT_YIELD:
        return ROLE_WAIT;
    case EFFECT_KNOWN:
        return ROLE_QUIET;
    case EFFECT_CLOCK:
        return ROLE_CLOCK;
    default:
        return syscall_only_sleeps(t->call.nr, t->call.args) ? ROLE_WAIT : ROLE_EFFECT;
    }
}

// Whether the call ended as it does when nothing has happened.
static bool nothing_happened(const struct task *t, int64_t ret) {
    if (to_own_thread(t)) return ret == -ESRCH || ret == -EINVAL;
    if (t->call.nr != SYS_futex)
        return t->call.nr == SYS_time || t->call.nr == SYS_getpid || t->call.nr == SYS_gettid || ret == 0;
    return futex_wakes(t->call.args) ? ret == 0 : ret == -ETIMEDOUT;
}

// ---- what is remembered of a task's loop

enum { ITERATIONS = 3 };

struct look { // three iterations that took the same way
    uint64_t path;
    int count; // of decisions
    bool valid, good, clock;
    unsigned visit; // of the anchor, at the end
    struct decision decisions[ITERATIONS][ITERATION_DECISIONS];
};

struct looks {
    struct iteration iteration;
    struct look now, before;
    uint8_t turned[ITERATION_DECISIONS]; // how often a number that came nearer was far again at the next look
};

struct loop *loop_of(struct task *t) {
    if (t->loop) return t->loop;
    t->loop = calloc(1, sizeof *t->loop);
    rf_assert(t->loop);
    t->loop->kind = WAIT_OUTSIDE;
    t->loop->busy_look = FIRST_SPIN_LOOK;
    return t->loop;
}

struct iteration *loop_iteration(struct loop *l) {
    if (!l->looks) l->looks = calloc(1, sizeof *l->looks);
    rf_assert(l->looks);
    return &l->looks->iteration;
}

void loop_free(struct task *t) {
    if (!t->loop) return;
    free(t->loop->looks);
    free(t->loop);
    t->loop = NULL;
}

void loop_forget(struct task *t) {
    struct loop *l = t->loop;
    if (!l) return;
    l->kind = WAIT_OUTSIDE;
    l->tracing = false;
    l->visits = 0;
    l->anchor.pc = 0;
    l->anchor.nr = 0;
}

void loop_anchor(struct task *t, long nr, const struct user_regs_struct *regs) {
    struct loop *l = loop_of(t);
    loop_forget(t);
    l->anchor = (struct anchor){nr, regs->rip, regs->rsp};
    l->visits = 1;
    l->strangers = 0;
    l->next_look = FIRST_LOOK;
    if (!l->looks) return;
    l->looks->before.valid = false;
    memset(l->looks->turned, 0, sizeof l->looks->turned);
}

// ---- when to look

bool loop_affordable(const struct recorder *r, bool sleeps) {
    return r->waits->looked_us * (sleeps ? 5 : 25) <= served_us(r, r->clock_us) + 5000000;
}

// A thread that could end the wait moves: not worth a look.
static bool others_wait(struct recorder *r, const struct task *t) {
    for (struct task *o = r->tasks; o; o = o->next) {
        if (o == t || o->mm != t->mm) continue;
        bool loops = o->loop && (o->loop->kind != WAIT_OUTSIDE || o->loop->visits >= FIRST_LOOK);
        if (!loops && (o->state != TASK_IN_KERNEL || !o->call.inside)) return false;
    }
    return true;
}

static void look_later(struct loop *l, double visits) {
    l->tracing = false;
    l->kind = WAIT_OUTSIDE;
    if (!(visits >= FIRST_LOOK)) visits = l->looks->now.clock && visits >= 1 ? visits : FIRST_LOOK;
    l->next_look = visits < MAX_LOOK ? l->visits + (unsigned)visits : l->visits + MAX_LOOK;
}

// With a clock in the iteration it is time that shows something, not iterations: of 50 ms each, ever rarer looks took 15 s.
static double clocked(const struct recorder *r, const struct loop *l, double visits) {
    double iteration = (double)(r->clock_us - l->look_since_us) / (l->iterations + l->aside + 1), most;
    if (!l->looks->now.clock || iteration < 1) return visits;
    most = CLOCK_GAP_US / iteration + 1;
    return visits < most ? visits : most;
}

static void look_begin(const struct recorder *r, struct loop *l, const struct user_regs_struct *regs) {
    loop_iteration(l);
    l->look_since_us = r->clock_us;
    l->tracing = true;
    l->iterations = l->aside = 0;
    l->asks = false;
    l->steps = 0;
    l->looks->now.clock = false;
    l->looks->now.valid = false;
    l->boundary = *regs;
    iteration_begin(&l->looks->iteration, l->anchor.nr < 0 ? 0 : regs->rip);
}

// ---- what it shows

enum trend { STAYS, RECEDES, NEARS, WANDERS };

static enum trend trend_of(const struct look *look, int i) {
    double d[ITERATIONS];
    bool ordered = true, same = true;
    for (int k = 0; k < ITERATIONS; k++) {
        d[k] = fabs(look->decisions[k][i].distance);
        ordered &= look->decisions[k][i].ordered;
        same &= look->decisions[k][i].distance == look->decisions[0][i].distance;
    }
    if (same) return STAYS;
    if (!ordered) return WANDERS;
    // A clock's seconds change between two iterations, or do not.
    return d[0] <= d[1] && d[1] <= d[2] ? RECEDES : d[0] >= d[1] && d[1] >= d[2] ? NEARS : WANDERS;
}

static double finite_iterations(double iterations, bool spins) {
    return iterations < (spins ? SPIN_NEVER : NEVER) ? iterations : HUGE_VAL;
}

// A counter or a clock goes in steps of about one size, from look to look as well; a number that is computed anew each
// time does not, though it may rise three times by chance.
static bool steady(double step, double expected) {
    return step < 4 * expected && expected < 4 * step;
}

// The parts of a second begin again with each second: three numbers of a clock go by even steps also where one of those leads
// over the end. A number that is computed anew each time wanders otherwise.
static bool turns_evenly(const struct look *look, int i) {
    static const double turns[] = {1e9, 1e6}; // nanoseconds, microseconds
    for (size_t k = 0; k < sizeof turns / sizeof *turns; k++) {
        double steps[ITERATIONS - 1];
        bool within = true;
        for (int n = 0; n < ITERATIONS; n++)
            within &= fabs(look->decisions[n][i].distance) < turns[k];
        for (int n = 0; n < ITERATIONS - 1; n++) {
            double step = look->decisions[n + 1][i].distance - look->decisions[n][i].distance;
            steps[n] = step < 0 ? step + turns[k] : step;
        }
        if (within && steps[0] < 1.5 * steps[1] && steps[1] < 1.5 * steps[0]) return true;
    }
    return false;
}

// In how many more iterations decision i may go the other way: HUGE_VAL for never, 0 for nobody knows.
static double iterations_left(struct looks *k, int i, bool known, bool spins) {
    const struct look *now = &k->now, *before = &k->before;
    double d[ITERATIONS], old = known ? fabs(before->decisions[ITERATIONS - 1][i].distance) : 0;
    for (int n = 0; n < ITERATIONS; n++)
        d[n] = fabs(now->decisions[n][i].distance);
    double step = fabs(d[2] - d[0]) / 2, gap = known ? now->visit - 2. - before->visit : 0;
    double first = fabs(d[1] - d[0]), second = fabs(d[2] - d[1]);
    // Whether they are a whole second decides what time is waited for, not for how long.
    if (now->clock && now->decisions[0][i].of_second) return HUGE_VAL;
    bool even = steady(first, second) || (now->clock && (first == 0 || second == 0));
    switch (trend_of(now, i)) {
    case WANDERS:
        // In the middle of this look it began again, or it is no part of a clock.
        if (!turns_evenly(now, i)) k->turned[i] = 0;
        return now->clock && k->turned[i] >= TURNED_LOOKS ? HUGE_VAL : 0;
    case RECEDES:
        if (!even || (known && !now->clock && !steady((d[0] - old) / gap, step))) return 0;
        // What moves away comes back from the other side when it overflows.
        return spins ? finite_iterations(0x1p32 / step, true) : HUGE_VAL;
    case NEARS:
        if (!even) return 0;
        // The nanoseconds of a clock come nearer to their end and begin again: nothing hangs on that.
        if (known && d[0] > old && k->turned[i] < UINT8_MAX) k->turned[i]++;
        return k->turned[i] >= TURNED_LOOKS ? HUGE_VAL : finite_iterations(d[2] / step + 1, spins);
    case STAYS:
        break;
    }
    if (!known || now->decisions[0][i].distance == before->decisions[0][i].distance) return HUGE_VAL;
    if (!now->decisions[0][i].ordered) return 0;
    return d[2] > old ? HUGE_VAL
                      : finite_iterations(d[2] / (old - d[2]) * gap + 1, spins); // seconds, minutes
}

// A mutex's waiters wait for it alone; at a condition or a semaphore somebody may idle until a process that still
// moves ends him. Values: lll_lock and SpinLock wait for what means "held", conditions and semaphores for 0.
static bool waits_as_for_a_lock(const struct task *t, const struct loop *l) {
    bool atomic = false;
    for (int i = 0; i < l->word_count; i++)
        atomic |= l->words[i].atomic;
    if (l->anchor.nr < 0) return atomic || l->looks->iteration.pauses;
    if (l->anchor.nr != SYS_futex) return atomic;
    return futex_takes_lock(t->call.args) ||
           (t->call.args[2] && (futex_operation(t->call.args) == FUTEX_WAIT || l->words[0].atomic));
}

static void futex_word_first(const struct task *t, struct loop *l) {
    struct word w = {.address = t->call.args[0], .size = 4};
    tracee_read(t->tid, t->mm->mem_fd, w.address, &w.value, 4);
    int at = 0;
    while (at < l->word_count && (l->words[at].address != w.address || l->words[at].size != w.size))
        at++;
    if (at < l->word_count)
        w = l->words[at];
    else if (l->word_count < LOOP_WORDS)
        at = l->word_count++;
    else
        at = LOOP_WORDS - 1;
    memmove(&l->words[1], &l->words[0], (size_t)at * sizeof w);
    l->words[0] = w;
}

bool loop_words(struct task *t) {
    struct loop *l = t->loop;
    bool outside, written;
    l->word_count = iteration_words(t, &l->looks->iteration, l->words, &l->shared, &outside, &written);
    if (l->anchor.nr == SYS_futex) futex_word_first(t, l);
    l->locks = waits_as_for_a_lock(t, l);
    return (l->word_count || l->asks) && !outside && !written;
}

void loop_learn(struct recorder *r, struct task *t, enum wait_kind kind, bool fixed) {
    struct loop *l = t->loop;
    l->kind = kind;
    l->fixed = fixed;
    l->epoch = l->shared ? r->waits->epoch : t->mm->epoch;
}

static void log_look(struct recorder *r, struct task *t, const char *what, double left) {
    if (!r->options->log) return;
    const struct loop *l = t->loop;
    fprintf(r->options->log,
            "         loop of %d at %s, visit %u: %s, iterations left %g, decisions %d, opaque %d\n", t->tid,
            syscall_name(t->call.nr), l->visits, what, left, l->looks->now.count, l->looks->iteration.opaque);
}

static void log_decision(struct recorder *r, const struct look *look, int i) {
    const struct decision *d = &look->decisions[0][i];
    if (r->options->log)
        fprintf(r->options->log, "         decision %d at 0x%llx: %s%g %g %g\n", i, (unsigned long long)d->pc,
                d->ordered ? "" : "unordered ", d->distance, look->decisions[1][i].distance,
                look->decisions[2][i].distance);
}

// Three iterations are there: the verdict on the loop, or when to look again.
static bool judge(struct recorder *r, struct task *t, struct loop *l, bool same_state) {
    struct looks *k = l->looks;
    struct look *now = &k->now, *before = &k->before;
    double left = HUGE_VAL;
    bool changes = now->clock;
    now->valid = true;
    now->visit = l->visits;
    bool known = before->valid && before->path == now->path && before->count == now->count;
    if (!known) memset(k->turned, 0, sizeof k->turned);
    for (int i = 0; i < now->count; i++) {
        double iterations = iterations_left(k, i, known, l->anchor.nr < 0);
        if (iterations < left) {
            left = iterations;
            log_decision(r, now, i);
        }
        changes |= trend_of(now, i) != STAYS;
    }
    now->good = left == HUGE_VAL && !k->iteration.opaque && loop_words(t);
    if (!now->good || !known || !before->good) l->good_looks = 0;
    if (now->good && !l->good_looks++) l->good_since_us = r->clock_us;
    *before = *now;
    log_look(r, t, now->good ? "goes on" : "may end", left);
    if (!now->good) {
        // Nearer to an end: again when it has passed. Otherwise ever more rarely.
        look_later(l, left > 0 && left < HUGE_VAL ? left
                                                  : clocked(r, l, now->clock ? l->visits / 4. : l->visits));
        return false;
    }
    look_later(l, clocked(r, l, FIRST_LOOK << (l->good_looks < 4 ? l->good_looks : 4)));
    // Numbers that rise by chance are computed; nobody computes one number between two waits for a word.
    uint64_t shown_us = r->clock_us - l->good_since_us;
    int clock_looks = shown_us < 2 * CLOCK_US ? CLOCK_LOOKS : GOOD_LOOKS;
    int enough = now->clock ? clock_looks : changes && l->anchor.nr != SYS_futex ? GOOD_LOOKS : 2;
    if (l->good_looks < enough) return false;
    if (now->clock && shown_us < CLOCK_US) return false;
    loop_learn(r, t,
               l->asks                     ? WAIT_CHILD
               : l->anchor.nr < 0          ? WAIT_SPIN
               : l->anchor.nr == SYS_futex ? WAIT_TIMED
                                           : WAIT_YIELD,
               same_state && !now->clock);
    l->seen = l->visits;
    l->next_look = l->visits < MAX_LOOK ? l->visits * 2 : l->visits + MAX_LOOK;
    return true;
}

// A deadline's nanoseconds exceed a second now and then, and are made less: another way, but by decisions at the same places.
static bool only_carries(const struct look *look, const struct iteration *iteration) {
    if (iteration->decision_count != look->count) return false;
    for (int i = 0; i < look->count; i++)
        if (iteration->decisions[i].pc != look->decisions[0][i].pc) return false;
    return true;
}

static bool left_out(struct looks *k, struct loop *l) {
    const struct look *like = l->iterations ? &k->now : &k->before;
    bool other = (l->iterations || like->valid) && k->iteration.path != like->path;
    return other && k->now.clock && only_carries(like, &k->iteration) && ++l->aside <= ASIDE;
}

// t is at its anchor: the end of an iteration.
static bool iteration_ends(struct recorder *r, struct task *t, struct loop *l,
                           const struct user_regs_struct *regs) {
    struct looks *k = l->looks;
    struct iteration *iteration = &k->iteration;
    struct look *now = &k->now;
    if (left_out(k, l)) {
        l->boundary = *regs;
        iteration_begin(iteration, iteration->syscall_pc);
        return false;
    }
    if (l->iterations == 0) {
        now->path = iteration->path;
        now->count = iteration->decision_count;
    }
    // Another way each time: perhaps it waits longer and longer, up to some limit.
    if (iteration->path != now->path || iteration->decision_count != now->count) {
        log_look(r, t, "another way", l->iterations);
        look_later(l, clocked(r, l, l->visits / 4.));
        return false;
    }
    memcpy(now->decisions[l->iterations++], iteration->decisions,
           (size_t)iteration->decision_count * sizeof *iteration->decisions);
    bool same_state = same_regs(&l->boundary, regs) && !iteration->opaque && iteration_restored(t, iteration);
    if (l->iterations == ITERATIONS) return judge(r, t, l, same_state);
    l->boundary = *regs;
    iteration_begin(iteration, iteration->syscall_pc);
    return false;
}

bool loop_visit(struct recorder *r, struct task *t, const struct user_regs_struct *regs) {
    struct loop *l = t->loop;
    l->strangers = 0;
    l->visits++;
    if (l->tracing) return iteration_ends(r, t, l, regs);
    if (l->visits >= l->next_look && !l->stuck_logged && !t->signals &&
        loop_affordable(r, t->call.nr != SYS_sched_yield) && others_wait(r, t))
        look_begin(r, l, regs);
    return false;
}

// Of several, any.
static void note_child(struct task *t) {
    struct loop *l = t->loop;
    int child = syscall_awaited_child(t->call.nr, t->call.args);
    l->child = l->asks && l->child != child ? 0 : child;
    l->asks = true;
}

bool loop_entry(struct recorder *r, struct task *t) {
    enum role role = role_of(t);
    if (t->loop) t->loop->busy = 0;
    if (role == ROLE_EFFECT || (t->loop && t->loop->anchor.nr < 0)) loop_forget(t);
    if (t->call.nr == SYS_rt_sigprocmask && t->loop && t->loop->tracing)
        iteration_mix(&t->loop->looks->iteration, t->mask);
    if (role == ROLE_CLOCK && t->loop && t->loop->tracing) t->loop->looks->now.clock = true;
    if (asks_for_child(t) && t->loop && t->loop->tracing) note_child(t);
    if (role != ROLE_WAIT) return false;
    struct loop *l = loop_of(t);
    if (l->anchor.pc && l->anchor.nr == t->call.nr && l->anchor.pc == t->call.regs.rip &&
        l->anchor.sp == t->call.regs.rsp)
        return loop_visit(r, t, &t->call.regs);
    if (!l->anchor.pc || ++l->strangers > STRANGERS) loop_anchor(t, t->call.nr, &t->call.regs);
    return false;
}

bool loop_known(const struct task *t) {
    return t->loop && t->loop->kind != WAIT_OUTSIDE;
}

bool loop_waits(const struct task *t) {
    return t->loop && t->loop->anchor.pc && t->loop->visits > 1;
}

void loop_exit(struct task *t, int64_t ret) {
    if (t->loop && t->loop->anchor.pc && !nothing_happened(t, ret)) loop_forget(t);
}

// The iteration of the last look is kept; the words besides, which a call may have that no instruction reads.
bool loop_disturbed(struct task *t) {
    const struct loop *l = t->loop;
    for (int i = 0; i < l->word_count; i++) {
        uint64_t value = 0;
        tracee_read(t->tid, t->mm->mem_fd, l->words[i].address, &value, l->words[i].size);
        if (value != l->words[i].value) return true;
    }
    return !l->looks || (!l->tracing && !iteration_inputs_same(t, &l->looks->iteration));
}

// Nobody else has run who could have ended the loop and let t do something else that nobody has seen yet.
bool loop_current(struct recorder *r, struct task *t) {
    struct loop *l = t->loop;
    if (l->epoch == (l->shared ? r->waits->epoch : t->mm->epoch)) return true;
    l->next_look = l->visits + 1;
    l->busy = l->busy_look;
    return false;
}

bool loop_run(struct recorder *r, struct task *t) {
    struct loop *l = t->loop;
    struct user_regs_struct regs;
    if (!l || !l->tracing || !tracee_get_regs(t->tid, &regs)) return false;
    t->stepping = t->stepped = true;
    for (bool stepped = true; stepped && l->tracing;) {
        if (++l->steps > LOOK_STEPS) {
            log_look(r, t, "too long an iteration", l->iterations);
            look_later(l, (double)l->visits * 4);
            break;
        }
        if (!own_instruction(t->mm, regs.rip)) iteration_step(t, &regs, &l->looks->iteration);
        stepped = step(r, t, &regs);
        r->waits->looked_us += 25;
    }
    end_stepping(t);
    return true;
}

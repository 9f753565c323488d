// refork verify: the recorded deadlock's situation, forced on another build. Run 1 is the program as it is: it shows
// the modules and the forks; the lock's site is found in them, and each further run is one with the fork gate.
#include "search/verify.h"

#include "core/array.h"
#include "core/path.h"
#include "core/printable.h"
#include "replayer/names/short_name.h"
#include "replayer/report/text.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"
#include "search/progress.h"
#include "search/run_once.h"
#include "search/situation.h"
#include "search/situation_others.h"
#include "search/situation_sites.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EXTRA_TRIES = 12, // runs beyond those wanted, that may miss the situation; once more for `after-call`
    HITS = 6,         // acquires tried, when another one was met
    LOCK_SIZE = 16,   // futex words of a lock are within it
};

// How the situation is made, in the order of the attempts.
static const struct way {
    enum gate_stage stage;
    // Not as soon as the lock is taken, but behind the call that its holder makes with it in the hand.
    bool parks;
} ways[] = {
    {GATE_BEFORE_PREPARE, false},
    {GATE_BEFORE_PREPARE, true}, // when `needed`
    {GATE_AFTER_ACQUIRE, false},
    // The forking task has at its fork what the others need to come to the lock: it is held before it takes that.
    {GATE_AFTER_CALL, true},
    {GATE_AFTER_CALL, false},
};

enum outcome {
    MISSED,   // the situation was not reached
    OTHER,    // ... but another one at the same place: the next acquire may be it
    BESIDE,   // the lock was taken first, in a process or by a thread whose fork it cannot trouble
    KEPT_OFF, // the lock is taken before the fork, and the fork cannot be made until it is free again
    FINE,     // reached, and the child went on, or it is kept away at this very fork
    HANGS,
};

struct verify {
    const struct verify_options *o;
    FILE *out;
    struct situation situation;
    struct situation_sites sites;
    struct situation_forks forks;
    uint64_t made, tries, forced; // runs made, with the gate, and that reached the situation
    uint64_t tries_max;
    bool park_searched;         // for the call at which the holder can be parked
    bool needed;                // the holder had something else that the fork needs, when it was parked
    uint64_t tried_locks[HITS]; // without a name, that were held, and did no harm
    size_t tried_count;
    bool late;                // a run was ended before anything was known: the others would be
    bool gone;                // the site or the fork is not in the program any more
    struct situation_why why; // the last reason why the situation was not reached
    struct missed {           // the reasons of all runs with the gate
        char text[600];       // as the first of them said it
        uint64_t runs;
    } * missed;
    size_t missed_count;
    char fine[600];               // the last reason why it did no harm
    uint64_t seen[GATE_VERDICTS]; // how often each outcome did no harm
};

static void describe(const struct situation_frame *f, char *out, size_t size) {
    char function[1024];
    snprintf(function, sizeof function, "%s", f->function);
    short_name(function, SHORT_NAME_COLUMNS);
    if (f->file && f->line)
        snprintf(out, size, "%.280s (%.90s:%d)", function, base_name(f->file), f->line);
    else
        snprintf(out, size, "%.280s of %.100s", function, f->module ? f->module : "an unnamed file");
}

// ---- the recording to be verified

static int read_situation(struct verify *v, const char *path, struct rf_error *err) {
    struct session *s;
    const struct verdict *verdict;
    if (session_open(path, &s, err) < 0) return -1;
    struct timeline *t = session_timeline(s);
    struct progress p;
    progress_begin(&p, t);
    int failed = session_verdict(s, &verdict, err);
    struct rf_error first = {0};
    bool read = false;
    for (size_t i = 0; !failed && !read && i < verdict->count; i++) {
        struct rf_error one = {0};
        read = situation_read(t, &verdict->findings[i], &v->situation, &one) == 0;
        if (!read && !first.status) first = one;
    }
    if (!failed && !read) {
        failed = -1;
        if (first.status)
            *err = first;
        else
            rf_fail(err, RF_CANNOT, "there is no deadlock in '%s': nothing to verify", path);
    }
    progress_end(&p, t);
    session_close(s);
    return failed;
}

// ---- one run

// The present run hung: explains it, and says whether it is the recorded deadlock.
static int explain_hang(struct verify *v, bool *same, struct rf_error *err) {
    struct session *s;
    const struct verdict *verdict;
    *same = false;
    if (session_open(v->o->output, &s, err) < 0) return -1;
    struct timeline *t = session_timeline(s);
    struct progress p;
    progress_begin(&p, t);
    int failed = session_verdict(s, &verdict, err);
    if (!failed) {
        report_text(v->out, verdict, timeline_source_line, t);
        failed = sources_attach(v->o->output, verdict, err);
    }
    for (size_t i = 0; !failed && i < verdict->count && !*same; i++)
        *same = situation_is(&v->situation, t, &verdict->findings[i]);
    progress_end(&p, t);
    session_close(s);
    return failed;
}

static bool is_of_lock(const struct gate_outcome *g) {
    return g->lock && g->word + 4 > g->lock && g->word < g->lock + LOCK_SIZE;
}

static struct situation_run run_of(const struct verify *v, struct timeline *t) {
    return (struct situation_run){.recorded = &v->situation, .sites = &v->sites, .timeline = t};
}

// The fork that is made at the recorded place behind event `from`, by *forker (0: by any task, which is told): its event,
// 0: none.
static int next_fork(struct verify *v, struct timeline *t, int *forker, uint64_t from, uint64_t *fork,
                     struct rf_error *err) {
    struct event e;
    *fork = 0;
    for (uint64_t n = from; n <= timeline_last(t) && !*fork; n++) {
        if (timeline_event(t, n, &e, err) < 0) return -1;
        if (e.kind != EV_BIRTH || e.flags & EVF_VM || (*forker && e.tid != *forker)) continue;
        if (timeline_seek(t, n, err) < 0) return -1;
        if (!situation_at_fork(t, e.tid, &v->forks)) continue;
        *fork = n;
        *forker = e.tid;
    }
    return 0;
}

// Nobody comes to the fork while the lock is held, for somebody waits for it before. He has it himself at the fork, or he
// has given it back before: then another can have it.
static int check_forkers_own(struct verify *v, struct timeline *t, const struct gate_outcome *g, bool *held,
                             struct rf_error *err) {
    uint64_t fork;
    int forker = g->forker;
    if (next_fork(v, t, &forker, g->decided, &fork, err) < 0) return -1;
    *held = false;
    const struct situation_holding at_fork = {.tid = forker, .address = g->lock, .event = fork};
    if (fork) return situation_is_held(t, &at_fork, held, &v->why, err);
    snprintf(v->why.text, sizeof v->why.text,
             "the fork waited for the lock, and was not made when that was free");
    return 0;
}

// A task that waits for the lock is within fork() or has it there later. One that was held on its way may have gone
// elsewhere than to the recorded fork.
static int check_fork(struct verify *v, struct timeline *t, const struct gate_outcome *g, bool *same,
                      struct rf_error *err) {
    if (g->verdict == GATE_HOLDER_NEEDED && is_of_lock(g)) {
        int failed = timeline_seek(t, g->decided, err);
        *same = !failed && g->forker && situation_at_fork(t, g->forker, &v->forks);
        return failed || *same ? failed : check_forkers_own(v, t, g, same, err);
    }
    if (timeline_seek(t, g->forked ? g->forked : g->decided, err) < 0) return -1;
    *same = situation_at_fork(t, g->forker, &v->forks);
    if (*same) return 0;
    if (g->forked)
        snprintf(v->why.text, sizeof v->why.text, "task %d made another fork than the recorded one",
                 g->forker);
    else
        snprintf(v->why.text, sizeof v->why.text, "%s", g->reason);
    return 0;
}

// A lock without a name: others may be the recorded one as well.
static int check_others(struct verify *v, struct timeline *t, const struct gate_outcome *g, bool *none,
                        struct rf_error *err) {
    uint64_t other;
    bool known = false;
    if (v->situation.variable[0] || !g->lock || !g->forker) return 0;
    for (size_t i = 0; i < v->tried_count; i++)
        known |= v->tried_locks[i] == g->lock;
    if (!known) {
        if (v->tried_count == HITS) v->tried_count--;
        v->tried_locks[v->tried_count++] = g->lock;
    }
    const struct situation_run r = run_of(v, t);
    const struct situation_other wanted = {
        .forker = g->forker, .at = g->acquired, .but = v->tried_locks, .but_count = v->tried_count};
    if (situation_find_other(&r, &wanted, &other, err) < 0) return -1;
    *none = !other;
    if (other)
        snprintf(v->why.text, sizeof v->why.text,
                 "the lock held was 0x%" PRIx64 ", and 0x%" PRIx64
                 " is taken there as well, which a child takes",
                 g->lock, other);
    return 0;
}

// Was it the recorded place where the parked task took the lock, was it still held when the fork came, and was that the
// recorded fork?
static int check_situation(struct verify *v, const struct gate_plan *gate, const struct gate_outcome *g,
                           bool *same, struct rf_error *err) {
    struct timeline *t;
    if (timeline_open(v->o->output, &t, err) < 0) return -1;
    const struct situation_run r = run_of(v, t);
    struct situation_why why;
    struct progress p;
    progress_begin(&p, t);
    int failed = timeline_seek(t, g->acquired, err);
    *same = !failed && situation_holds(&r, g->parked, g->lock, &why);
    const struct situation_holding parked = {
        .tid = g->parked, .address = g->lock, .event = g->forked ? g->forked : g->decided};
    if (*same && gate->parks_after_call) failed = situation_is_held(t, &parked, same, &why, err);
    if (!failed && !*same) v->why = why;
    if (!failed && *same && gate->stage >= GATE_AFTER_ACQUIRE) failed = check_fork(v, t, g, same, err);
    if (!failed && *same) failed = check_others(v, t, g, same, err);
    progress_end(&p, t);
    timeline_close(t);
    return failed;
}

// Does another thread of the parked task's process fork after it took the lock?
static int check_forker(struct verify *v, const struct gate_outcome *g, bool *other, struct rf_error *err) {
    struct timeline *t;
    *other = false;
    if (timeline_open(v->o->output, &t, err) < 0) return -1;
    int failed = timeline_seek(t, timeline_last(t), err);
    const struct replay_task *parked = failed ? NULL : replay_task_find(timeline_replay(t), g->parked);
    for (uint64_t n = g->taken; parked && !failed && !*other && n <= timeline_last(t); n++) {
        struct event e;
        failed = timeline_event(t, n, &e, err);
        if (failed || e.kind != EV_BIRTH || e.flags & EVF_VM || e.tid == g->parked) continue;
        const struct replay_task *forker = replay_task_find(timeline_replay(t), e.tid);
        *other = forker && forker->pid == parked->pid;
    }
    timeline_close(t);
    return failed;
}

// A gated run that missed the situation. With the lock taken first it may have been one of the forking thread, or one of
// a child: neither is there when another thread forks.
static int judge_missed(struct verify *v, const struct gate_plan *gate, const struct gate_outcome *g,
                        struct rf_error *err) {
    bool other = true;
    if (gate->stage == GATE_AFTER_ACQUIRE && g->parked && check_forker(v, g, &other, err) < 0) return -1;
    if (other) return MISSED;
    snprintf(v->why.text, sizeof v->why.text,
             "the lock was taken there by task %d, after which no other thread of it forks", g->parked);
    return BESIDE;
}

// -1 with *err, else an enum outcome. `gate` is NULL in run 1.
static int run(struct verify *v, const struct gate_plan *gate, struct run_once_result *result,
               struct rf_error *err) {
    struct schedule schedule = {0};
    if (gate) schedule.gate = *gate;
    const struct run_once once = {.argv = v->o->argv,
                                  .output = v->o->output,
                                  .schedule = gate ? &schedule : NULL,
                                  .cpus = (unsigned)v->o->cpus,
                                  .cpu = v->o->cpu,
                                  .timeout_ms = v->o->timeout_ms};
    v->made++;
    return run_once(&once, result, err);
}

// Where the holder sleeps with the lock in the hand, from the present run when the recording did not show it.
static int find_park_call(struct verify *v, struct rf_error *err) {
    struct timeline *t;
    if (v->situation.park_call >= 0 || v->park_searched) return 0;
    v->park_searched = true;
    if (timeline_open(v->o->output, &t, err) < 0) return -1;
    struct progress p;
    progress_begin(&p, t);
    const struct situation_run r = run_of(v, t);
    int failed = situation_park_call(&r, &v->situation.park_call, err);
    progress_end(&p, t);
    timeline_close(t);
    return failed;
}

// What the run of a gate says: an enum outcome, or -1 with *err.
static int judge(struct verify *v, const struct gate_plan *gate, const struct run_once_result *r,
                 struct rf_error *err) {
    const struct gate_outcome *g = &r->record.gate;
    bool same;
    if (r->record.stuck) return HANGS;
    switch (g->verdict) {
    case GATE_CHILD_WENT_ON:
    case GATE_ATFORK_PROTECTED:
        break;
    case GATE_HOLDER_NEEDED:
        // A lock that is needed on the way to the fork. Its holder may give it away, with the other still in the hand.
        if (is_of_lock(g) && (g->all_wait || gate->stage == GATE_AFTER_CALL)) break;
        v->needed |= !is_of_lock(g);
        if (!is_of_lock(g) && find_park_call(v, err) < 0) return -1;
        if (g->word && g->all_wait && (gate->parks_after_call || v->situation.park_call < 0)) break;
        snprintf(v->why.text, sizeof v->why.text, "%s", g->reason);
        return MISSED;
    default:
        snprintf(v->why.text, sizeof v->why.text, "%s: %s%s", gate_verdict_name(g->verdict), g->reason,
                 r->timed_out ? " (the time is up, see --timeout)" : "");
        v->late |= r->timed_out && g->verdict == GATE_UNDECIDED;
        return judge_missed(v, gate, g, err);
    }
    if (check_situation(v, gate, g, &same, err) < 0) return -1;
    if (!same) return OTHER;
    snprintf(v->fine, sizeof v->fine, "%s: %s", gate_verdict_name(g->verdict), g->reason);
    bool before = gate->stage == GATE_AFTER_ACQUIRE && g->verdict == GATE_HOLDER_NEEDED;
    return before ? KEPT_OFF : FINE;
}

static void count(struct verify *v, enum gate_verdict verdict, uint64_t times) {
    v->forced += times;
    v->seen[verdict] += times;
}

// The same reason, but for its numbers: TIDs and addresses are those of one run.
static bool is_same_reason(const char *a, const char *b) {
    while (*a && *b) {
        bool numbers = isdigit((unsigned char)*a) && isdigit((unsigned char)*b);
        if (!numbers && *a != *b) return false;
        a += numbers ? strspn(a, "0123456789") : 1;
        b += numbers ? strspn(b, "0123456789") : 1;
    }
    return *a == *b;
}

static void count_missed(struct verify *v, const char *reason) {
    for (size_t i = 0; i < v->missed_count; i++) {
        if (!is_same_reason(v->missed[i].text, reason)) continue;
        v->missed[i].runs++;
        return;
    }
    struct missed *new = array_add(v->missed, v->missed_count);
    snprintf(new->text, sizeof new->text, "%s", reason);
    new->runs = 1;
}

// A gated run, told in a line. *acquires: how often the lock was taken while the gate looked.
static int try_gate(struct verify *v, const struct gate_plan *gate, uint64_t *acquires,
                    struct rf_error *err) {
    struct run_once_result r;
    v->tries++;
    if (run(v, gate, &r, err) < 0) return -1;
    int outcome = judge(v, gate, &r, err);
    if (outcome < 0) return -1;
    if (outcome != HANGS && outcome != FINE) count_missed(v, outcome == KEPT_OFF ? v->fine : v->why.text);
    print_clean(v->out, "run %" PRIu64 ": %s\n", v->made,
                outcome == HANGS && r.record.gate.verdict != GATE_CHILD_STUCK ? "it hangs, but not as forced"
                : outcome == HANGS                                            ? "forced, and it hangs"
                : outcome >= KEPT_OFF                                         ? v->fine
                                                                              : v->why.text);
    fflush(v->out);
    *acquires = r.record.gate.acquires;
    if (outcome == FINE) count(v, r.record.gate.verdict, 1);
    return outcome;
}

// ---- the search

static void set_place(struct code_place *to, const struct situation_place *from) {
    *to = (struct code_place){.offset = from->offset};
    snprintf(to->module, sizeof to->module, "%s", from->module);
}

static void make_plan(const struct verify *v, size_t site, const struct situation_fork *fork, uint64_t hit,
                      struct code_place *from, struct gate_plan *out) {
    *out = (struct gate_plan){.given = true,
                              .at_site = true,
                              .fork = hit,
                              .stage = GATE_BEFORE_PREPARE,
                              .acquire_hit = 1,
                              .bound_events = GATE_BOUND_EVENTS,
                              .bound_ms = GATE_BOUND_MS,
                              .from = from,
                              .from_count = v->sites.call_count};
    set_place(&out->fork_site, &fork->behind);
    for (size_t i = 0; i < v->sites.call_count; i++)
        set_place(&from[i], &v->sites.calls[i]);
    if (v->sites.site_count) {
        set_place(&out->acquire, &v->sites.sites[site]);
    } else {
        out->function = true;
        snprintf(out->acquire.module, sizeof out->acquire.module, "%s", v->sites.function_module);
        snprintf(out->acquire.symbol, sizeof out->acquire.symbol, "%s", v->situation.lock_function);
    }
}

static bool enough(const struct verify *v) {
    return v->forced >= v->o->runs || v->tries >= v->tries_max;
}

static bool goes_on(const struct verify *v, int outcome) {
    return outcome >= 0 && outcome != HANGS && !v->late && !enough(v);
}

// The lock is taken first, for the n-th time. That the fork waits for it until it is free says nothing of the next time
// that it is taken: all of them must be seen.
static int try_each_acquire(struct verify *v, struct gate_plan *gate, struct rf_error *err) {
    uint64_t kept_off = 0, beside = 0, acquires;
    int outcome = OTHER;
    for (gate->acquire_hit = 1; gate->acquire_hit <= HITS && goes_on(v, outcome); gate->acquire_hit++) {
        outcome = try_gate(v, gate, &acquires, err);
        if (outcome == FINE) return FINE;
        kept_off += outcome == KEPT_OFF;
        beside += outcome == BESIDE;
        if (outcome != MISSED || acquires >= gate->acquire_hit) continue;
        if (!kept_off || kept_off + beside < gate->acquire_hit - 1) return MISSED;
        count(v, GATE_HOLDER_NEEDED, kept_off);
        return FINE;
    }
    if (kept_off && goes_on(v, outcome))
        snprintf(v->why.text, sizeof v->why.text,
                 "the fork waits for the lock, but not each time that it is taken was tried");
    return outcome;
}

// From the plan's acquire on, the first one that is the recorded one. HANGS, -1, or another enum outcome.
static int try_acquires(struct verify *v, struct gate_plan *gate, struct rf_error *err) {
    if (gate->stage == GATE_AFTER_ACQUIRE) return try_each_acquire(v, gate, err);
    uint64_t acquires;
    int outcome = try_gate(v, gate, &acquires, err);
    while (outcome == OTHER && gate->acquire_hit < HITS && goes_on(v, outcome)) {
        gate->acquire_hit++;
        outcome = try_gate(v, gate, &acquires, err);
    }
    return outcome;
}

// False: where the forking task slept before that fork is not known.
static bool set_way(const struct verify *v, const struct way *way, const struct situation_fork *fork,
                    uint64_t hit, struct gate_plan *plan) {
    plan->stage = way->stage;
    plan->parks_after_call = way->parks;
    plan->park_call = v->situation.park_call;
    if (way->stage != GATE_AFTER_CALL) return true;
    const struct slept_call *hold = &fork->holds[hit - 1];
    plan->hold_task = hold->task;
    plan->hold_call = hold->call;
    plan->hold_hit = hold->hit;
    return hold->hit;
}

// Each fork with each site, in one way.
static int try_all(struct verify *v, const struct way *way, struct code_place *from, struct gate_plan *good,
                   struct rf_error *err) {
    size_t sites = v->sites.site_count ? v->sites.site_count : 1;
    int outcome = MISSED;
    for (size_t s = 0; s < sites; s++) {
        for (size_t f = 0; f < v->forks.count; f++) {
            const struct situation_fork *fork = &v->forks.v[f];
            uint64_t hits = way->stage == GATE_AFTER_ACQUIRE ? 1 : fork->count;
            for (uint64_t hit = 1; hit <= hits && hit <= SITUATION_HOLDS && goes_on(v, outcome); hit++) {
                struct gate_plan plan;
                make_plan(v, s, fork, hit, from, &plan);
                if (!set_way(v, way, fork, hit, &plan)) continue;
                outcome = try_acquires(v, &plan, err);
                if (outcome == FINE) *good = plan;
            }
        }
    }
    return outcome;
}

// What could be forced is forced until that was often enough.
static int force(struct verify *v, struct rf_error *err) {
    struct code_place *from = calloc(SITUATION_CALLS, sizeof *from);
    rf_assert(from);
    struct gate_plan good = {.given = false};
    int outcome = MISSED;
    v->tries_max = v->o->runs + EXTRA_TRIES;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !good.given; i++) {
        const struct way *way = &ways[i];
        bool first = i && way->stage == GATE_AFTER_CALL && ways[i - 1].stage != GATE_AFTER_CALL;
        if (first) v->tries_max = v->tries + v->o->runs + EXTRA_TRIES;
        if (way->parks && way->stage == GATE_BEFORE_PREPARE && !v->needed) continue;
        if (!goes_on(v, outcome)) continue;
        if (way->parks && find_park_call(v, err) < 0) outcome = -1;
        if (way->parks && v->situation.park_call < 0) continue;
        outcome = try_all(v, way, from, &good, err);
    }
    while (good.given && goes_on(v, outcome))
        outcome = try_acquires(v, &good, err);
    free(from);
    return outcome;
}

// Run 1: as it is. What it shows, the sites of the others.
static int run_plain(struct verify *v, struct rf_error *err) {
    struct run_once_result r;
    struct timeline *t;
    if (run(v, NULL, &r, err) < 0) return -1;
    if (r.record.stuck) {
        print_clean(v->out, "run %" PRIu64 ": as it is: it hangs\n", v->made);
        return HANGS;
    }
    if (timeline_open(v->o->output, &t, err) < 0) return -1;
    struct progress p;
    progress_begin(&p, t);
    int failed = situation_find_forks(&v->situation, t, &v->forks, &v->why, err);
    if (!failed && v->forks.count) {
        failed = timeline_seek(t, v->forks.v[0].event, err);
        if (!failed) failed = situation_locate(&v->situation, t, v->forks.v[0].tid, &v->sites, err);
        if (!failed && v->sites.why[0]) snprintf(v->why.text, sizeof v->why.text, "%s", v->sites.why);
    }
    progress_end(&p, t);
    timeline_close(t);
    if (failed) return -1;
    v->gone = !v->forks.count || v->sites.why[0];
    const char *end = r.timed_out ? "the time is up" : r.record.signaled ? "it ends by a signal" : "it ends";
    print_clean(v->out, "run %" PRIu64 ": as it is: %s", v->made, end);
    if (!v->gone) {
        const char *lock = v->situation.lock[0] ? v->situation.lock : "the lock";
        print_clean(v->out, "; the fork is made, and %s may be taken at %s", lock, v->sites.how);
    }
    print_clean(v->out, "\n");
    fflush(v->out);
    return MISSED;
}

// ---- the result

static int hangs(struct verify *v, struct rf_error *err) {
    bool same;
    if (explain_hang(v, &same, err) < 0) return -1;
    print_clean(v->out, "\n%s: the recording is in '%s'\n",
                same ? "it still hangs" : "another deadlock than the recorded one", v->o->output);
    return RF_DEADLOCK;
}

// Why it was not reached: what most of the runs say, of those that are equal in this the first.
static int not_reached(const struct verify *v) {
    const struct missed *most = v->missed;
    for (size_t i = 1; i < v->missed_count; i++)
        if (v->missed[i].runs > most->runs) most = &v->missed[i];
    print_clean(v->out, "the situation could not be reached: %s", most ? most->text : v->why.text);
    if (most && v->tries > 1) print_clean(v->out, " (%" PRIu64 " of %" PRIu64 " runs)", most->runs, v->tries);
    print_clean(v->out, "\n");
    if (!v->gone || !v->o->gone_is_fixed) return RF_CANNOT;
    print_clean(v->out, "taken for fixed (--gone-is-fixed)\n");
    return RF_OK;
}

// What came of the situation, in a user's words; only these outcomes count.
static void tell_fixed(const struct verify *v) {
    static const char *const words[GATE_VERDICTS] = {
        [GATE_CHILD_WENT_ON] = "the lock was held at the fork, and the child finished",
        [GATE_ATFORK_PROTECTED] = "the fork waits until the lock is free: a fork handler takes it",
        [GATE_HOLDER_NEEDED] = "nobody can fork while the lock is held",
    };
    const char *begin = "fixed: ";
    for (int i = 0; i < GATE_VERDICTS; i++) {
        if (!v->seen[i]) continue;
        print_clean(v->out, "%s%s (%" PRIu64 " run%s)", begin,
                    words[i] ? words[i] : gate_verdict_name((enum gate_verdict)i), v->seen[i],
                    v->seen[i] == 1 ? "" : "s");
        begin = "; ";
    }
    print_clean(v->out, "\n");
}

static int force_and_tell(struct verify *v, struct rf_error *err) {
    int outcome = run_plain(v, err);
    if (outcome == MISSED && !v->gone) outcome = force(v, err);
    if (outcome < 0) return -1;
    if (outcome == HANGS) return hangs(v, err);
    if (!v->o->keep) unlink(v->o->output);
    if (!v->forced) return not_reached(v);
    tell_fixed(v);
    return RF_OK;
}

int verify(const struct verify_options *o, FILE *out, struct rf_error *err) {
    struct verify *v = calloc(1, sizeof *v);
    rf_assert(v);
    v->o = o;
    v->out = out;
    int status = -1;
    if (read_situation(v, o->input, err) == 0) {
        char taken[400], forked[400];
        describe(&v->situation.acquired, taken, sizeof taken);
        describe(&v->situation.forked, forked, sizeof forked);
        print_clean(out, "recorded: %s, taken in %s, held at the fork in %s\n",
                    v->situation.lock[0] ? v->situation.lock : "a lock", taken, forked);
        fflush(out);
        status = force_and_tell(v, err);
        situation_release(&v->situation);
    }
    free(v->missed);
    free(v);
    return status;
}

#include "search/hunt.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/path.h"
#include "search/deadlock_key.h"
#include "search/hunt_report.h"
#include "search/interrupt.h"
#include "search/program_errors.h"
#include "search/progress.h"
#include "search/run_once.h"
#include "replayer/report/text.h"
#include "replayer/report/json.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    USES = 3, // forks at which a candidate is tried that nobody came to in time
    BOUND_MIN_MS = 300,
    // Where somebody was seen to take it soon after the fork: it ends as soon as he comes, and a busy machine is slow.
    BOUND_SEEN_MS = 2000,
    SETTLE_MS = 3000,    // a child that takes no lock for so long, beyond what it took in the first run
    PATIENCE_MS = 15000, // ... longer, while it waits and waits again with a time limit
    DEPTH = 3,           // of PCT
    DELAYS = 4,
    FAILURES = 3, // recordings in a row that could not be made
};

static uint64_t now_us(void) {
    return clock_us(CLOCK_MONOTONIC);
}

// ---- runs

static void forget_run(const struct hunter *x) {
    unlink(x->trace);
    unlink(x->made);
}

bool hunt_over(struct hunter *x) {
    if (interrupted())
        x->h.stopped = "interrupted";
    else if (x->give_up && x->give_up(x->context))
        x->h.stopped = "a deadlock was found elsewhere";
    else if (x->h.runs >= x->runs_max)
        x->h.stopped = "the number of runs is used up";
    else if (x->until_us && now_us() >= x->until_us)
        x->h.stopped = "the time is over";
    return x->h.stopped;
}

static void show_progress(const struct hunter *x, const char *doing) {
    if (!x->terminal) return;
    size_t left = 0;
    for (size_t i = 0; i < x->h.candidates.count; i++)
        left += !x->h.tries || !x->h.tries[i].tried;
    progress_line("refork: run %" PRIu64 ", %zu of %zu candidates left, %zu found, %.0f s: %s", x->h.runs + 1,
                  left, x->h.candidates.count, x->h.found_count, (double)(now_us() - x->h.begin_us) / 1e6,
                  doing);
}

// What the command prints is not the hunt's result.
static int shell(const char *option, const char *command, struct rf_error *err) {
    if (!command) return 0;
    fflush(NULL);
    int status = 0;
    pid_t pid = fork();
    if (!pid) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && status == 0) return 0;
    return rf_fail(err, RF_CANNOT, "the command of '%s' failed: '%s' (wait status 0x%x)", option, command,
                   (unsigned)status);
}

char *hunt_schedule_text(const struct schedule *plan) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    rf_assert(out);
    schedule_write(out, plan);
    fclose(out);
    return text;
}

// The end of the program itself: not one that refork made.
static void judge_end(struct hunter *x, const struct run_once *run, const struct run_once_result *r,
                      const char *how, size_t candidate) {
    const struct record_result *e = &r->record;
    if (e->stuck || r->timed_out || e->gate_done || healthy_is(&x->healthy, e->signaled, e->status)) return;
    struct hunt_unhealthy *u = array_add(x->h.unhealthy, x->h.unhealthy_count);
    *u = (struct hunt_unhealthy){.run = x->h.runs, .candidate = candidate};
    snprintf(u->how, sizeof u->how, "%s", how);
    healthy_name(e->signaled, e->status, u->ended, sizeof u->ended);
    if (run->schedule) u->schedule = hunt_schedule_text(run->schedule);
}

// One run: 1 made, 0 it could not be made but others may, -1 with *err.
static int make_run(struct hunter *x, struct run_once *run, struct run_once_result *result, const char *how,
                    size_t candidate, struct rf_error *err) {
    if (shell("--before", x->before, err) < 0) return -1;
    run->argv = x->h.argv;
    run->output = x->trace;
    run->cpus = (unsigned)x->cpus;
    run->cpu = x->cpu;
    run->no_probes = x->no_probes;
    run->input = x->h.input;
    run->give_up = x->give_up;
    run->context = x->context;
    if (!run->timeout_ms || run->timeout_ms > x->timeout_ms) run->timeout_ms = x->timeout_ms;
    if (run->patient_ms > x->timeout_ms) run->patient_ms = x->timeout_ms;
    struct rf_error failure = {0};
    int failed = run_once(run, result, &failure);
    if (interrupted() || result->given_up) return shell("--after", x->after, err);
    x->h.runs++;
    x->h.timed_out_runs += result->timed_out;
    if (shell("--after", x->after, err) < 0) return -1;
    if (!failed) {
        x->failures = 0;
        judge_end(x, run, result, how, candidate);
        return 1;
    }
    x->h.failed_runs++;
    if (x->h.runs > 1 && ++x->failures < FAILURES) return 0;
    *err = failure;
    return -1;
}

// ---- what was found

// The k-th name: FILE, then FILE-2, -3 before its ".refork".
static void name_trace(const struct hunter *x, char *out, size_t size) {
    if (x->keep_as) {
        snprintf(out, size, "%s", x->keep_as);
        return;
    }
    size_t k = x->h.found_count + 1, stem = stem_length(x->h.output);
    if (k == 1)
        snprintf(out, size, "%s", x->h.output);
    else
        snprintf(out, size, "%.*s-%zu%s", (int)stem, x->h.output, k, x->h.output + stem);
}

static int keep_schedule(struct hunter *x, const struct schedule *plan, struct hunt_found *f,
                         struct rf_error *err) {
    if (!plan && access(x->made, R_OK) != 0) return 0;
    snprintf(f->schedule, sizeof f->schedule, "%s.schedule", f->trace);
    if (!plan)
        return rename(x->made, f->schedule) == 0
                   ? 0
                   : rf_fail_errno(err, RF_CANNOT, "could not write '%s'", f->schedule);
    return schedule_save(f->schedule, plan, err);
}

static bool known(const struct hunter *x, const char *key) {
    for (size_t i = 0; i < x->h.found_count; i++)
        if (!strcmp(x->h.found[i].key, key)) return true;
    return false;
}

static int keep(struct hunter *x, struct timeline *t, const struct verdict *v, const struct schedule *plan,
                struct hunt_found *f, struct rf_error *err) {
    size_t len = 0;
    FILE *text = open_memstream(&f->text, &len);
    rf_assert(text);
    report_text(text, v, timeline_source_line, t);
    fclose(text);
    f->verdict = report_json_object(v);
    rf_assert(f->verdict);
    name_trace(x, f->trace, sizeof f->trace);
    if (rename(x->trace, f->trace) < 0)
        return rf_fail_errno(err, RF_CANNOT, "could not write '%s'", f->trace);
    if (sources_attach(f->trace, v, err) < 0) return -1;
    return keep_schedule(x, plan, f, err);
}

// 1 `refork explain` would call it a deadlock (it is kept, if it is new), 0 not, -1.
static int judge(struct hunter *x, const struct run_once_result *run, const struct schedule *plan,
                 const char *how, size_t candidate, struct rf_error *err) {
    struct session *s;
    const struct verdict *v;
    // (A crash is at most suspicious.)
    if (!record_may_hang(&run->record) && !run->timed_out && x->fail_on != VERDICT_SUSPICIOUS) return 0;
    if (session_open(x->trace, &s, err)) return -1;
    struct timeline *t = session_timeline(s);
    if (x->no_probes) timeline_without_probes(t);
    int result = session_verdict(s, &v, err);
    if (result == 0 && verdict_level(v) >= x->fail_on) {
        const struct finding *cause = deadlock_cause(v);
        if (!cause && v->count) cause = &v->findings[0];
        struct hunt_found f = {.candidate = candidate, .run = x->h.runs};
        snprintf(f.how, sizeof f.how, "%s", how);
        deadlock_key(cause, f.key, sizeof f.key);
        result = 1;
        if (!known(x, f.key)) {
            if (keep(x, t, v, plan, &f, err) < 0) result = -1;
            array_push(x->h.found, x->h.found_count, f);
        }
    }
    session_close(s);
    return result;
}

// ---- the first run

static void describe_end(struct hunt *h, const struct run_once_result *r, const struct rf_error *failure) {
    char end[60];
    double seconds = (double)r->ms / 1000;
    healthy_name(r->record.signaled, r->record.status, end, sizeof end);
    if (failure)
        snprintf(h->first_end, sizeof h->first_end, "could not be recorded: %.70s", failure->text);
    else if (r->timed_out)
        snprintf(h->first_end, sizeof h->first_end, "was ended by its time limit after %.0f s", seconds);
    else if (r->record.stuck)
        snprintf(h->first_end, sizeof h->first_end, "waited for ever");
    else
        snprintf(h->first_end, sizeof h->first_end, "ended with %s after %.1f s", end, seconds);
}

int hunt_first_run(struct hunter *x, struct rf_error *err) {
    struct run_once run = {.count_steps = true, .save_schedule = x->made};
    struct run_once_result result;
    static const char how[] = "the program as it is";
    show_progress(x, how);
    struct rf_error failure = {0};
    int made = make_run(x, &run, &result, how, SIZE_MAX, &failure);
    // The program ran, and its recording broke off: whoever hunts wants to know what it said until then.
    if (made < 0 && result.record.started && failure.status == RF_CANNOT) {
        describe_end(&x->h, &result, &failure);
        program_errors(x->trace, x->h.errors, sizeof x->h.errors);
        return 0;
    }
    if (made < 0) *err = failure;
    if (made <= 0) return made;
    describe_end(&x->h, &result, NULL);
    x->steps = result.record.steps;
    x->first_ms = result.ms;
    int found = judge(x, &result, NULL, how, SIZE_MAX, err);
    if (found < 0 || (found && !x->keep_going)) return found;
    struct timeline *t;
    show_progress(x, "reading its locks");
    if (timeline_open(found ? x->h.found[0].trace : x->trace, &t, err)) return -1;
    if (x->no_probes) timeline_without_probes(t);
    struct progress p;
    progress_begin(&p, t);
    int failed = candidates_find(t, &x->h.candidates, err);
    progress_end(&p, t);
    timeline_close(t);
    x->h.tries = calloc(x->h.candidates.count + 1, sizeof *x->h.tries);
    rf_assert(x->h.tries);
    if (!failed && !found && (result.timed_out || !hunt_forks_with_others(&x->h)))
        program_errors(x->trace, x->h.errors, sizeof x->h.errors);
    return failed ? -1 : found;
}

// ---- directed

// How a candidate's situation is asked for.
struct attempt {
    enum gate_stage stage;
    bool instruction; // the lock is taken where the instruction is done, though a function is known
    bool any_word;    // whatever word is taken there
};

static void plan_of(const struct hunter *x, const struct candidate *c, const struct candidate_fork_use *use,
                    const struct attempt *a, struct schedule *out) {
    *out = (struct schedule){.gate = {.given = true, .stage = a->stage, .acquire_hit = 1}};
    struct gate_plan *g = &out->gate;
    g->fork = x->h.candidates.forks[use->fork].number;
    snprintf(g->acquire.module, sizeof g->acquire.module, "%s", c->module);
    g->function = c->call[0] && !a->instruction;
    if (g->function)
        snprintf(g->acquire.symbol, sizeof g->acquire.symbol, "%s", c->call);
    else
        g->acquire.offset = c->vaddr;
    g->has_word = !a->any_word;
    if (g->has_word) {
        snprintf(g->word.module, sizeof g->word.module, "%s", c->word_module);
        g->word.offset = c->word_offset;
    }
    const struct candidate_fork *f = &x->h.candidates.forks[use->fork];
    g->hold_task = f->hold.task;
    g->hold_call = f->hold.call;
    g->hold_hit = f->hold.hit;
    g->parks_after_call = a->stage == GATE_AFTER_CALL && c->held_over >= 0;
    g->park_call = c->held_over;
    g->bound_events = GATE_BOUND_EVENTS;
    g->bound_ms = use->after_us == UINT64_MAX ? BOUND_MIN_MS : BOUND_SEEN_MS;
    if (use->after_us != UINT64_MAX && use->after_us / 1000 * 3 > g->bound_ms)
        g->bound_ms = use->after_us / 1000 * 3;
    if (g->bound_ms > GATE_BOUND_MS) g->bound_ms = GATE_BOUND_MS;
}

// As long as it took to get to the fork and the lock in the first run, twice, and the gate's own time.
static uint64_t time_for(const struct hunter *x, const struct candidate_fork_use *use,
                         const struct schedule *plan) {
    return (x->h.candidates.forks[use->fork].time_us + use->child_us) / 1000 * 2 + plan->gate.bound_ms * 2 +
           SETTLE_MS;
}

void hunt_candidate_plan(const struct hunter *x, size_t i, struct schedule *out) {
    const struct candidate *c = &x->h.candidates.v[i];
    const struct attempt a = {.stage = GATE_BEFORE_PREPARE};
    plan_of(x, c, &c->uses[0], &a, out);
}

// One candidate at one of its forks: 1 found, 0 not, -1.
static int try_at(struct hunter *x, size_t i, const struct candidate_fork_use *use, const struct attempt *a,
                  struct rf_error *err) {
    struct hunt_try *y = &x->h.tries[i];
    struct schedule plan;
    struct run_once_result result;
    char what[1400], how[400];
    plan_of(x, &x->h.candidates.v[i], use, a, &plan);
    struct run_once run = {.schedule = &plan, .gate_only = true, .timeout_ms = time_for(x, use, &plan)};
    run.patient_ms = run.timeout_ms + PATIENCE_MS;
    hunt_describe(&x->h, i, what, sizeof what);
    snprintf(how, sizeof how, "fork gate at fork %" PRIu64 ", %s", plan.gate.fork, gate_stage_name(a->stage));
    show_progress(x, what);
    int made = make_run(x, &run, &result, how, i, err);
    if (made < 0 || interrupted() || result.given_up) return made < 0 ? -1 : 0;
    x->h.directed_runs++;
    y->tried = true;
    y->runs++;
    y->fork = plan.gate.fork;
    y->ms += result.ms;
    y->stage = gate_stage_name(a->stage);
    const struct gate_outcome *g = &result.record.gate;
    y->verdict = made ? g->verdict : GATE_UNDECIDED;
    snprintf(y->reason, sizeof y->reason, "%s",
             !made              ? "the run could not be recorded"
             : result.timed_out ? "the child neither waits nor ends within the time of a run"
                                : g->reason);
    x->other_lock = made && g->parked && g->lock && g->lock != x->h.candidates.v[i].address;
    if (x->other_lock && a->any_word) {
        size_t len = strlen(y->reason);
        snprintf(y->reason + len, sizeof y->reason - len, " (the lock that was held was at 0x%" PRIx64 ")",
                 g->lock);
    }
    if (!made) return 0;
    int verdict = judge(x, &result, &plan, how, i, err);
    if (verdict > 0) y->found = true;
    if (verdict == 0 && result.record.stuck)
        snprintf(y->reason, sizeof y->reason,
                 "the child waits for ever, but it is not known that the lock is the cause");
    return verdict;
}

// Another attempt after one that did not find anything; its outcome counts if the gate came further than before.
static int try_again(struct hunter *x, size_t i, const struct candidate_fork_use *use,
                     const struct attempt *a, struct rf_error *err) {
    struct hunt_try *y = &x->h.tries[i];
    struct hunt_try before = *y;
    int found = try_at(x, i, use, a, err);
    bool further = before.verdict != GATE_HOLDER_NEEDED && y->verdict != GATE_NEVER_CONCURRENT;
    if (found == 0 && !further) {
        y->verdict = before.verdict;
        y->stage = before.stage;
        memcpy(y->reason, before.reason, sizeof y->reason);
    }
    return found;
}

static int try_at_fork(struct hunter *x, size_t i, const struct candidate_fork_use *use,
                       struct rf_error *err) {
    const struct candidate *c = &x->h.candidates.v[i];
    const struct hunt_try *y = &x->h.tries[i];
    struct attempt a = {.stage = GATE_BEFORE_PREPARE};
    int found = try_at(x, i, use, &a, err);
    if (found == 0 && y->verdict == GATE_NO_SITE && c->call[0] && !hunt_over(x)) {
        a.instruction = true;
        found = try_again(x, i, use, &a, err);
    }
    // Perhaps the forking thread has what the others need to come there, and that one can do without once it has the lock.
    if (found == 0 && y->verdict == GATE_NEVER_CONCURRENT && c->kind == CANDIDATE_SHARED &&
        x->h.candidates.forks[use->fork].hold.hit && !hunt_over(x)) {
        struct attempt early = a;
        early.stage = GATE_AFTER_CALL;
        early.any_word = !c->lock[0];
        found = try_again(x, i, use, &early, err);
        // Others are taken there as well: this one only, should it be where it was.
        if (found == 0 && early.any_word && x->other_lock && !hunt_over(x)) {
            early.any_word = false;
            found = try_again(x, i, use, &early, err);
        }
    }
    // Who allocates it, and when, may be another in this run: a lock on the heap is somewhere else then.
    if (found == 0 && y->verdict == GATE_NEVER_CONCURRENT && c->hits && !c->lock[0] && !hunt_over(x)) {
        a.any_word = true;
        found = try_again(x, i, use, &a, err);
    }
    // Between the handlers and the clone the holder may be another one.
    if (found == 0 && y->verdict == GATE_HOLDER_NEEDED && !hunt_over(x)) {
        a.stage = GATE_AT_CLONE;
        found = try_again(x, i, use, &a, err);
    }
    return found;
}

int hunt_candidate(struct hunter *x, size_t i, struct rf_error *err) {
    const struct candidate *c = &x->h.candidates.v[i];
    const struct hunt_try *y = &x->h.tries[i];
    for (size_t k = 0; k < c->use_count && k < USES && !hunt_over(x); k++) {
        int found = try_at_fork(x, i, &c->uses[k], err);
        if (found) return found;
        // Another fork at the same place: perhaps the others come in time there.
        if (c->kind != CANDIDATE_SHARED || c->uses[k].after_us == UINT64_MAX) break;
        if (y->verdict != GATE_NEVER_CONCURRENT && y->verdict != GATE_NO_FORK) break;
        // What becomes of a child that was not seen to take it says nothing of one that was.
        if (k + 1 < c->use_count && c->uses[k].taken && !c->uses[k + 1].taken) break;
    }
    return 0;
}

static int directed(struct hunter *x, struct rf_error *err) {
    for (size_t i = 0; i < x->h.candidates.count && !hunt_over(x); i++) {
        // Words that are hardly locks must not use up the runs of the wider search.
        if (x->h.candidates.v[i].kind == CANDIDATE_WORD && x->search == SEARCH_ALL &&
            x->h.runs >= x->runs_max / 2)
            break;
        int found = hunt_candidate(x, i, err);
        if (found < 0) return -1;
        if (x->h.found_count && !x->keep_going) return 0;
    }
    return 0;
}

// ---- wider

static const char *const strategy_names[] = {[SEARCH_ALL] = "all",
                                             [SEARCH_DIRECTED] = "directed",
                                             [SEARCH_PCT] = "pct",
                                             [SEARCH_RANDOM] = "random",
                                             [SEARCH_DELAY] = "delay"};

const char *hunt_strategy_name(enum search search) {
    return strategy_names[search];
}

bool hunt_strategy_find(const char *name, enum search *out) {
    for (int i = SEARCH_ALL; i <= SEARCH_DELAY; i++) {
        if (strcmp(name, strategy_names[i]) != 0) continue;
        *out = (enum search)i;
        return true;
    }
    return false;
}

static enum search wide_strategy(const struct hunter *x, uint64_t i) {
    static const enum search in_turn[] = {SEARCH_PCT, SEARCH_RANDOM, SEARCH_DELAY};
    return x->search == SEARCH_ALL ? in_turn[i % 3] : x->search;
}

void hunt_wide_plan(const struct hunter *x, uint64_t i, struct schedule *out) {
    uint64_t threads = x->h.candidates.tasks ? x->h.candidates.tasks : 1, steps = x->steps ? x->steps : 1;
    *out = (struct schedule){.threads = threads, .steps = steps, .seed = x->seed + i};
    switch (wide_strategy(x, i)) {
    case SEARCH_RANDOM:
        out->strategy = STRATEGY_RANDOM;
        break;
    case SEARCH_DELAY:
        out->strategy = STRATEGY_DELAY;
        out->depth = DELAYS;
        break;
    default:
        out->strategy = STRATEGY_PCT;
        out->depth = DEPTH;
        break;
    }
}

int hunt_wide(struct hunter *x, uint64_t i, struct rf_error *err) {
    struct schedule plan;
    struct run_once_result result;
    char how[100];
    hunt_wide_plan(x, i, &plan);
    snprintf(how, sizeof how, "%s, seed %" PRIu64, hunt_strategy_name(wide_strategy(x, i)), plan.seed);
    struct run_once run = {.schedule = &plan};
    show_progress(x, how);
    int made = make_run(x, &run, &result, how, SIZE_MAX, err);
    if (made < 0) return -1;
    if (interrupted() || result.given_up) return 0;
    x->h.wide_runs++;
    return made ? judge(x, &result, &plan, how, SIZE_MAX, err) : 0;
}

bool hunt_has_wide(const struct hunter *x) {
    if (x->search == SEARCH_ALL) return x->h.candidates.tasks > 1;
    return x->search != SEARCH_DIRECTED;
}

static int wide(struct hunter *x, struct rf_error *err) {
    int found = 0;
    for (uint64_t i = 0; !hunt_over(x) && (!x->h.found_count || x->keep_going) && found >= 0; i++)
        found = hunt_wide(x, i, err);
    return found;
}

static int hunt(struct hunter *x, struct rf_error *err) {
    x->h.any_order = x->search > SEARCH_DIRECTED;
    if (hunt_first_run(x, err) < 0) return -1;
    if (x->h.found_count && !x->keep_going) return 0;
    if (!x->h.tries) return 0; // nothing is known of the program
    if (x->search <= SEARCH_DIRECTED && directed(x, err) < 0) return -1;
    if (x->h.found_count && !x->keep_going) return 0;
    if (hunt_has_wide(x)) return wide(x, err);
    if (x->search == SEARCH_ALL) x->h.stopped = "the program is one task: there are no other schedules";
    return 0;
}

int hunt_run(struct hunter *x, struct rf_error *err) {
    snprintf(x->trace, sizeof x->trace, "%s.%d.run", x->h.output, getpid());
    snprintf(x->made, sizeof x->made, "%s.schedule", x->trace);
    int failed = hunt(x, err);
    progress_clear();
    return failed < 0 ? -1 : 0;
}

void hunt_release(struct hunt *h) {
    for (size_t i = 0; i < h->found_count; i++) {
        free(h->found[i].text);
        json_decref(h->found[i].verdict);
    }
    for (size_t i = 0; i < h->unhealthy_count; i++)
        free(h->unhealthy[i].schedule);
    free(h->found);
    free(h->unhealthy);
    free(h->tries);
    candidates_release(&h->candidates);
    *h = (struct hunt){.argv = h->argv, .output = h->output, .input = h->input, .begin_us = h->begin_us};
}

void hunter_release(struct hunter *x) {
    progress_clear();
    if (x->trace[0]) forget_run(x);
    hunt_release(&x->h);
}

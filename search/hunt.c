#include "search/hunt.h"

#include "cli/cli.h"
#include "search/deadlock_key.h"
#include "search/shard.h"
#include "core/clock.h"
#include "replayer/report/text.h"
#include "replayer/report/json.h"
#include "replayer/report/lines.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RUNS = 40,
    TIMEOUT_S = 30,
    USES = 3, // forks at which a candidate is tried that nobody came to in time
    BOUND_MIN_MS = 300,
    // Where somebody was seen to take it soon after the fork: it ends with his coming, and machines are slow that run other things.
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
    if (run_once_interrupted())
        x->h.stopped = "interrupted";
    else if (x->give_up && x->give_up(x->context))
        x->h.stopped = "a deadlock was found elsewhere";
    else if (x->h.runs >= x->runs_max)
        x->h.stopped = "the number of runs is used up";
    else if (x->until_us && now_us() >= x->until_us)
        x->h.stopped = "the time is over";
    return x->h.stopped;
}

static void progress(const struct hunter *x, const char *doing) {
    if (!x->terminal) return;
    char clean[101]; // names come from the program
    snprintf(clean, sizeof clean, "%s", doing);
    report_clean(clean);
    size_t left = 0;
    for (size_t i = 0; i < x->h.candidates.count; i++)
        left += !x->h.tries || !x->h.tries[i].tried;
    fprintf(stderr, "\r\033[Krefork: run %" PRIu64 ", %zu of %zu candidates left, %zu found, %.0f s: %s",
            x->h.runs + 1, left, x->h.candidates.count, x->h.found_count,
            (double)(now_us() - x->h.begin_us) / 1e6, clean);
    fflush(stderr);
}

static void progress_end(const struct hunter *x) {
    if (x->terminal) fputs("\r\033[K", stderr);
}

// What the command prints is not the hunt's result.
static int shell(struct hunter *x, const char *option, const char *command) {
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
    return rf_fail(x->err, RF_CANNOT, "the command of '%s' failed: '%s' (wait status 0x%x)", option, command,
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
    x->h.unhealthy = reallocarray(x->h.unhealthy, x->h.unhealthy_count + 1, sizeof *x->h.unhealthy);
    rf_assert(x->h.unhealthy);
    struct hunt_unhealthy *u = &x->h.unhealthy[x->h.unhealthy_count++];
    *u = (struct hunt_unhealthy){.run = x->h.runs, .candidate = candidate};
    snprintf(u->how, sizeof u->how, "%s", how);
    healthy_name(e->signaled, e->status, u->ended, sizeof u->ended);
    if (run->schedule) u->schedule = hunt_schedule_text(run->schedule);
}

// One run: 1 made, 0 it could not be made but others may, -1 with *err.
static int make_run(struct hunter *x, struct run_once *run, struct run_once_result *result, const char *how,
                    size_t candidate) {
    if (shell(x, "--before", x->before) < 0) return -1;
    run->argv = x->h.argv;
    run->output = x->trace;
    run->input = x->h.input;
    run->give_up = x->give_up;
    run->context = x->context;
    if (!run->timeout_ms || run->timeout_ms > x->timeout_ms) run->timeout_ms = x->timeout_ms;
    if (run->patient_ms > x->timeout_ms) run->patient_ms = x->timeout_ms;
    struct rf_error err = {0};
    int failed = run_once(run, result, &err);
    if (run_once_interrupted() || result->given_up) return shell(x, "--after", x->after);
    x->h.runs++;
    x->h.timed_out_runs += result->timed_out;
    if (shell(x, "--after", x->after) < 0) return -1;
    if (!failed) {
        x->failures = 0;
        judge_end(x, run, result, how, candidate);
        return 1;
    }
    x->h.failed_runs++;
    if (x->h.runs > 1 && ++x->failures < FAILURES) return 0;
    *x->err = err;
    return -1;
}

// ---- what was found

// The k-th name: FILE, then FILE-2, -3 before its ".refork".
static void name_trace(const struct hunter *x, char *out, size_t size) {
    if (x->keep_as) {
        snprintf(out, size, "%s", x->keep_as);
        return;
    }
    size_t k = x->h.found_count + 1, len = strlen(x->h.output);
    const char *end = len > 7 && !strcmp(x->h.output + len - 7, ".refork") ? ".refork" : "";
    if (k == 1)
        snprintf(out, size, "%s", x->h.output);
    else
        snprintf(out, size, "%.*s-%zu%s", (int)(len - strlen(end)), x->h.output, k, end);
}

static int keep_schedule(struct hunter *x, const struct schedule *plan, struct hunt_found *f) {
    if (!plan && access(x->made, R_OK) != 0) return 0;
    snprintf(f->schedule, sizeof f->schedule, "%s.schedule", f->trace);
    if (!plan)
        return rename(x->made, f->schedule) == 0
                   ? 0
                   : rf_fail_errno(x->err, RF_CANNOT, "could not write '%s'", f->schedule);
    FILE *out = fopen(f->schedule, "we");
    if (out) schedule_write(out, plan);
    bool failed = !out || ferror(out);
    if (out && fclose(out)) failed = true;
    return failed ? rf_fail_errno(x->err, RF_CANNOT, "could not write '%s'", f->schedule) : 0;
}

static bool known(const struct hunter *x, const char *key) {
    for (size_t i = 0; i < x->h.found_count; i++)
        if (!strcmp(x->h.found[i].key, key)) return true;
    return false;
}

static int keep(struct hunter *x, struct timeline *t, const struct verdict *v, const struct schedule *plan,
                struct hunt_found *f) {
    size_t len = 0;
    FILE *text = open_memstream(&f->text, &len);
    rf_assert(text);
    report_text(text, v, timeline_source_line, t);
    fclose(text);
    f->verdict = report_json_object(v);
    rf_assert(f->verdict);
    name_trace(x, f->trace, sizeof f->trace);
    if (rename(x->trace, f->trace) < 0)
        return rf_fail_errno(x->err, RF_CANNOT, "could not write '%s'", f->trace);
    if (sources_attach(f->trace, v, x->err) < 0) return -1;
    return keep_schedule(x, plan, f);
}

// What hangs: the cause if it is known, else whatever does. Of a run whose time was over, without others that were stuck,
// only a cause.
static const struct finding *what_hangs(const struct verdict *v) {
    const struct finding *cause_of = deadlock_cause(v);
    if (!v->deadlock) return cause_of && cause_of->kind != FINDING_TORN_DATA ? cause_of : NULL;
    return !cause_of && v->count ? &v->findings[0] : cause_of;
}

// Looks at a run that the recorder stopped: 1 a deadlock (kept, if it is new), 0 not, -1.
static int judge(struct hunter *x, const struct run_once_result *run, const struct schedule *plan,
                 const char *how, size_t candidate) {
    struct session *s;
    const struct verdict *v;
    if (!run->record.stuck && !run->timed_out) return 0;
    if (session_open(x->trace, &s, x->err)) return -1;
    struct timeline *t = session_timeline(s);
    int result = session_verdict(s, &v, x->err);
    const struct finding *cause_of = result == 0 ? what_hangs(v) : NULL;
    if (cause_of) {
        struct hunt_found f = {.candidate = candidate, .run = x->h.runs};
        snprintf(f.how, sizeof f.how, "%s", how);
        deadlock_key(cause_of, f.key, sizeof f.key);
        result = 1;
        if (!known(x, f.key)) {
            if (keep(x, t, v, plan, &f) < 0) result = -1;
            x->h.found = reallocarray(x->h.found, x->h.found_count + 1, sizeof *x->h.found);
            rf_assert(x->h.found);
            x->h.found[x->h.found_count++] = f;
        }
    }
    session_close(s);
    return result;
}

// ---- the first run

int hunt_first_run(struct hunter *x) {
    struct run_once run = {.count_steps = true, .save_schedule = x->made};
    struct run_once_result result;
    static const char how[] = "the program as it is";
    progress(x, how);
    int made = make_run(x, &run, &result, how, SIZE_MAX);
    if (made <= 0) return made;
    x->steps = result.record.steps;
    x->first_ms = result.ms;
    int found = judge(x, &result, NULL, how, SIZE_MAX);
    if (found < 0 || (found && !x->keep_going)) return found;
    struct timeline *t;
    progress(x, "reading its locks");
    if (timeline_open(found ? x->h.found[0].trace : x->trace, &t, x->err)) return -1;
    cli_progress_begin(t);
    int failed = candidates_find(t, &x->h.candidates, x->err);
    cli_progress_end(t);
    timeline_close(t);
    x->h.tries = calloc(x->h.candidates.count + 1, sizeof *x->h.tries);
    rf_assert(x->h.tries);
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

void hunt_describe(const struct hunt *h, size_t candidate, char *out, size_t size) {
    const struct candidate *c = &h->candidates.v[candidate];
    char lock[300];
    if (c->lock[0])
        snprintf(lock, sizeof lock, "%s", c->lock);
    else
        snprintf(lock, sizeof lock, "0x%" PRIx64, c->address);
    const char *place = "?";
    for (size_t i = 0; i < h->candidates.fork_count; i++)
        if (h->candidates.forks[i].site == c->fork_site) {
            place = h->candidates.forks[i].place;
            break;
        }
    snprintf(out, size, "%s (%s) taken in %s (%s+0x%" PRIx64 "), fork in %s", lock, c->family,
             c->function[0] ? c->function : "?", c->module, c->vaddr, place);
}

void hunt_candidate_plan(const struct hunter *x, size_t i, struct schedule *out) {
    const struct candidate *c = &x->h.candidates.v[i];
    const struct attempt a = {.stage = GATE_BEFORE_PREPARE};
    plan_of(x, c, &c->uses[0], &a, out);
}

// One candidate at one of its forks: 1 found, 0 not, -1.
static int try_at(struct hunter *x, size_t i, const struct candidate_fork_use *use, const struct attempt *a) {
    struct hunt_try *y = &x->h.tries[i];
    struct schedule plan;
    struct run_once_result result;
    char what[1400], how[400];
    plan_of(x, &x->h.candidates.v[i], use, a, &plan);
    struct run_once run = {.schedule = &plan, .gate_only = true, .timeout_ms = time_for(x, use, &plan)};
    run.patient_ms = run.timeout_ms + PATIENCE_MS;
    hunt_describe(&x->h, i, what, sizeof what);
    snprintf(how, sizeof how, "fork gate at fork %" PRIu64 ", %s", plan.gate.fork, gate_stage_name(a->stage));
    progress(x, what);
    int made = make_run(x, &run, &result, how, i);
    if (made < 0 || run_once_interrupted() || result.given_up) return made < 0 ? -1 : 0;
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
    int verdict = judge(x, &result, &plan, how, i);
    if (verdict > 0) y->found = true;
    if (verdict == 0 && result.record.stuck)
        snprintf(y->reason, sizeof y->reason,
                 "the child waits for ever, but it is not known that the lock is the cause");
    return verdict;
}

// Another attempt after one that did not find anything; its outcome counts if the gate came further than before.
static int try_again(struct hunter *x, size_t i, const struct candidate_fork_use *use,
                     const struct attempt *a) {
    struct hunt_try *y = &x->h.tries[i];
    struct hunt_try before = *y;
    int found = try_at(x, i, use, a);
    bool further = before.verdict != GATE_HOLDER_NEEDED && y->verdict != GATE_NEVER_CONCURRENT;
    if (found == 0 && !further) {
        y->verdict = before.verdict;
        y->stage = before.stage;
        memcpy(y->reason, before.reason, sizeof y->reason);
    }
    return found;
}

static int try_at_fork(struct hunter *x, size_t i, const struct candidate_fork_use *use) {
    const struct candidate *c = &x->h.candidates.v[i];
    const struct hunt_try *y = &x->h.tries[i];
    struct attempt a = {.stage = GATE_BEFORE_PREPARE};
    int found = try_at(x, i, use, &a);
    if (found == 0 && y->verdict == GATE_NO_SITE && c->call[0] && !hunt_over(x)) {
        a.instruction = true;
        found = try_again(x, i, use, &a);
    }
    // Perhaps the forking thread has what the others need to come there, and that one can do without once it has the lock.
    if (found == 0 && y->verdict == GATE_NEVER_CONCURRENT && c->kind == CANDIDATE_SHARED &&
        x->h.candidates.forks[use->fork].hold.hit && !hunt_over(x)) {
        struct attempt early = a;
        early.stage = GATE_AFTER_CALL;
        early.any_word = !c->lock[0];
        found = try_again(x, i, use, &early);
        // Others are taken there as well: this one only, should it be where it was.
        if (found == 0 && early.any_word && x->other_lock && !hunt_over(x)) {
            early.any_word = false;
            found = try_again(x, i, use, &early);
        }
    }
    // Who allocates it, and when, may be another in this run: a lock on the heap is somewhere else then.
    if (found == 0 && y->verdict == GATE_NEVER_CONCURRENT && c->hits && !c->lock[0] && !hunt_over(x)) {
        a.any_word = true;
        found = try_again(x, i, use, &a);
    }
    // Between the handlers and the clone the holder may be another one.
    if (found == 0 && y->verdict == GATE_HOLDER_NEEDED && !hunt_over(x)) {
        a.stage = GATE_AT_CLONE;
        found = try_again(x, i, use, &a);
    }
    return found;
}

int hunt_candidate(struct hunter *x, size_t i) {
    const struct candidate *c = &x->h.candidates.v[i];
    const struct hunt_try *y = &x->h.tries[i];
    for (size_t k = 0; k < c->use_count && k < USES && !hunt_over(x); k++) {
        int found = try_at_fork(x, i, &c->uses[k]);
        if (found) return found;
        // Another fork at the same place: perhaps the others come in time there.
        if (c->kind != CANDIDATE_SHARED || c->uses[k].after_us == UINT64_MAX) break;
        if (y->verdict != GATE_NEVER_CONCURRENT && y->verdict != GATE_NO_FORK) break;
        // What becomes of a child that was not seen to take it says nothing of one that was.
        if (k + 1 < c->use_count && c->uses[k].taken && !c->uses[k + 1].taken) break;
    }
    return 0;
}

static int directed(struct hunter *x) {
    for (size_t i = 0; i < x->h.candidates.count && !hunt_over(x); i++) {
        // Words that are hardly locks must not use up the runs of the wider search.
        if (x->h.candidates.v[i].kind == CANDIDATE_WORD && x->search == SEARCH_ALL &&
            x->h.runs >= x->runs_max / 2)
            break;
        int found = hunt_candidate(x, i);
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

int hunt_wide(struct hunter *x, uint64_t i) {
    struct schedule plan;
    struct run_once_result result;
    char how[100];
    hunt_wide_plan(x, i, &plan);
    snprintf(how, sizeof how, "%s, seed %" PRIu64, hunt_strategy_name(wide_strategy(x, i)), plan.seed);
    struct run_once run = {.schedule = &plan};
    progress(x, how);
    int made = make_run(x, &run, &result, how, SIZE_MAX);
    if (made < 0) return -1;
    if (run_once_interrupted() || result.given_up) return 0;
    x->h.wide_runs++;
    return made ? judge(x, &result, &plan, how, SIZE_MAX) : 0;
}

bool hunt_has_wide(const struct hunter *x) {
    if (x->search == SEARCH_ALL) return x->h.candidates.tasks > 1;
    return x->search != SEARCH_DIRECTED;
}

static int wide(struct hunter *x) {
    int found = 0;
    for (uint64_t i = 0; !hunt_over(x) && (!x->h.found_count || x->keep_going) && found >= 0; i++)
        found = hunt_wide(x, i);
    return found;
}

static int hunt(struct hunter *x) {
    if (hunt_first_run(x) < 0) return -1;
    if (x->h.found_count && !x->keep_going) return 0;
    if (x->search <= SEARCH_DIRECTED && directed(x) < 0) return -1;
    if (x->h.found_count && !x->keep_going) return 0;
    if (hunt_has_wide(x)) return wide(x);
    if (x->search == SEARCH_ALL) x->h.stopped = "the program is one task: there are no other schedules";
    return 0;
}

// ---- the command

// "90", "90s", "30m", "2h": microseconds.
static int read_duration(const char *text, const char *option, uint64_t *us, struct rf_error *err) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    uint64_t unit = !*end || !strcmp(end, "s") ? 1 : !strcmp(end, "m") ? 60 : !strcmp(end, "h") ? 3600 : 0;
    if (errno || end == text || *text == '-' || !unit || !n || n > 1000000)
        return rf_fail(err, RF_CANNOT, "bad value '%s' of '--%s': give seconds, or 30m, or 2h", text, option);
    *us = n * unit * 1000000;
    return 0;
}

static int read_strategy(const struct cli_args *args, enum search *out, struct rf_error *err) {
    const char *name = cli_value(args, "strategy");
    if (!name) return 0;
    for (size_t i = SEARCH_DIRECTED; i <= SEARCH_DELAY; i++)
        if (!strcmp(name, strategy_names[i])) {
            *out = (enum search)i;
            return 0;
        }
    return rf_fail(err, RF_CANNOT, "bad value '%s' of '--strategy': give directed, pct, random or delay",
                   name);
}

static int read_options(const struct cli_args *args, struct hunter *x, struct rf_error *err) {
    uint64_t us = 0;
    const char *duration = cli_value(args, "for"), *timeout = cli_value(args, "timeout");
    x->runs_max = RUNS;
    if (duration && !cli_has(args, "runs")) x->runs_max = UINT64_MAX;
    x->timeout_ms = TIMEOUT_S * 1000;
    x->keep_going = cli_has(args, "keep-going");
    x->before = cli_value(args, "before");
    x->after = cli_value(args, "after");
    x->h.input = cli_value(args, "input");
    if (x->h.input && access(x->h.input, R_OK) != 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", x->h.input);
    if (cli_has(args, "healthy") && healthy_parse(cli_value(args, "healthy"), "healthy", &x->healthy, err))
        return -1;
    x->h.judges_ends = x->healthy.given;
    if (cli_number(args, "runs", 1, UINT32_MAX, &x->runs_max, err) || read_strategy(args, &x->search, err))
        return -1;
    if (duration) {
        if (read_duration(duration, "for", &us, err)) return -1;
        x->until_us = now_us() + us;
    }
    if (timeout) {
        if (read_duration(timeout, "timeout", &us, err)) return -1;
        x->timeout_ms = us / 1000;
    }
    if (cli_number(args, "seed", 0, UINT64_MAX, &x->seed, err)) return -1;
    uint32_t seed = 0;
    if (!cli_has(args, "seed")) {
        if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
            return rf_fail_errno(err, RF_CANNOT, "no random seed: give one with --seed N");
        x->seed = seed;
    }
    return 0;
}

// PROGRAM-hunt.refork, -2 and so on.
static int name_output(const struct cli_args *args, char *path, size_t size, struct rf_error *err) {
    const char *given = cli_value(args, "output");
    if (given) {
        if (snprintf(path, size, "%s", given) >= (int)size - 100)
            return rf_fail(err, RF_CANNOT, "the name '%.100s...' is too long", given);
        return 0;
    }
    char program[3800];
    if (snprintf(program, sizeof program, "%s-hunt", args->operands[0]) >= (int)sizeof program)
        return rf_fail(err, RF_CANNOT, "the name '%.100s...' is too long", args->operands[0]);
    return cli_new_trace(program, path, size, err);
}

int hunt_report(const struct cli_args *args, const struct hunt *h, struct rf_error *err) {
    const char *junit = cli_value(args, "junit");
    if (junit && hunt_report_junit(junit, h, err)) return -1;
    if (!cli_has(args, "json")) {
        hunt_report_text(stdout, h);
    } else if (hunt_report_json(stdout, h)) {
        return rf_fail_errno(err, RF_CANNOT, "could not write the result");
    }
    return h->found_count ? RF_DEADLOCK : RF_OK;
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

// In one process, from the first run to the report.
static int hunt_alone(const struct cli_args *args, struct hunter *x) {
    char output[4096];
    if (name_output(args, output, sizeof output, x->err) < 0) return -1;
    x->h.output = output;
    snprintf(x->trace, sizeof x->trace, "%s.%d.run", output, getpid());
    snprintf(x->made, sizeof x->made, "%s.schedule", x->trace);
    int failed = hunt(x);
    progress_end(x);
    return failed < 0 ? -1 : hunt_report(args, &x->h, x->err);
}

static int run_hunt(const struct cli_args *args, struct rf_error *err) {
    bool shared = cli_has(args, "shard") || cli_has(args, "state");
    if (args->operand_count == 0 && !shared)
        return rf_fail(err, RF_CANNOT,
                       "no program given: usage: refork hunt [OPTION...] [--] PROGRAM [ARG...]");
    if (args->operand_count && !args->operands[0][0])
        return rf_fail(err, RF_NOT_FOUND, "empty program name ''");
    struct hunter *x = calloc(1, sizeof *x);
    rf_assert(x);
    x->err = err;
    x->terminal = isatty(STDERR_FILENO);
    x->h.argv = args->operands;
    x->h.begin_us = now_us();
    int status = read_options(args, x, err), signal = 0;
    if (!status) {
        run_once_begin();
        status = shared ? hunt_shared(args, x) : hunt_alone(args, x);
        signal = run_once_interrupted();
        run_once_end();
        progress_end(x);
        if (x->trace[0]) forget_run(x);
    }
    hunt_release(&x->h);
    free(x);
    if (signal && status >= 0 && status != RF_DEADLOCK) cli_end_like(true, signal);
    return status;
}

static const struct cli_option hunt_options[] = {
    {"output", 'o', "FILE", "write the recording of the deadlock to FILE (default: PROGRAM-hunt.refork)"},
    {"runs", 0, "N", "run the program N times at most (40; with --for: as often as there is time)"},
    {"for", 0, "TIME", "stop after TIME: seconds, or 30m, or 2h"},
    {"timeout", 0, "TIME", "end a run after TIME (30 s); a server is looked at for so long"},
    {"strategy", 0, "NAME", "only directed (the fork gate), pct, random or delay"},
    {"seed", 0, "N", "of pct, random and delay; the next run has N+1"},
    {"state", 0, "DIR", "keep each run's result in DIR and go on from there; without PROGRAM: report on it"},
    {"shard", 0, "I/N", "with --state: make the I-th of N shares of the runs (docs/hunt.md)"},
    {"keep-going", 0, NULL, "look for all distinct deadlocks, not only the first"},
    {"input", 0, "FILE", "the program reads FILE as its standard input, in each run"},
    {"healthy", 0, "LIST", "report runs that end otherwise: exit statuses and signals, as 0,3,10-12,SIGTERM"},
    {"before", 0, "COMMAND", "run COMMAND by the shell before each run"},
    {"after", 0, "COMMAND", "run COMMAND by the shell after each run"},
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {"junit", 0, "FILE", "write the candidates and what became of them to FILE, as JUnit XML"},
    {0},
};

const struct cli_command command_hunt = {
    .name = "hunt",
    .operands = "[--] PROGRAM [ARG...]",
    .summary = "Make a rare fork deadlock happen, in a handful of runs",
    .details =
        "The program is run, its locks and forks are read off the recording, and then each fork is made\n"
        "while another thread holds a lock that the child may take. The first run that hangs is kept\n"
        "and explained. The program's input is empty (--input), its output is dropped.\n\n"
        "Exit status: 120 a deadlock was found, 0 none; 125 refork itself failed, 126 and 127 PROGRAM\n"
        "could not be run.\n",
    .options = hunt_options,
    .program_follows = true,
    .run = run_hunt,
};

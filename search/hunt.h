// A hunt in progress, and its parts: what `refork hunt` does in one go, or shared out (search/shard.h).
#ifndef REFORK_SEARCH_HUNT_H
#define REFORK_SEARCH_HUNT_H

#include "core/cpu/model.h"
#include "core/error.h"
#include "recorder/plan/schedule.h"
#include "replayer/verdict/verdict.h"
#include "search/healthy.h"
#include "search/hunt_result.h"

enum search { SEARCH_ALL, SEARCH_DIRECTED, SEARCH_PCT, SEARCH_RANDOM, SEARCH_DELAY };

struct hunter {
    struct hunt h; // argv, output, input and begin_us: the caller's
    // As the caller wants it; of `healthy` and `before` see `refork hunt --help`.
    uint64_t runs_max, until_us, timeout_ms, seed, cpus;
    enum cpu_level cpu; // that the program is shown
    enum search search;
    bool keep_going, terminal, no_probes;
    enum verdict_level fail_on; // what is found
    struct {
        bool runs, seed, search;
    } given; // not the defaults: must agree with a shared hunt's plan
    const char *before, *after;
    struct healthy healthy;
    char trace[4200], made[4300]; // of the present run
    const char *keep_as;          // the next recording's name when it is kept; NULL: after h.output
    uint64_t steps, first_ms;     // of the first run
    bool other_lock;              // the present run's gate held another word than the candidate's
    unsigned failures;
    bool (*give_up)(void *context); // NULL, or whether somebody else has found what is looked for
    void *context;
};

// All of it, in one process, between interrupt_begin and interrupt_end: 0 (x->h tells), or -1 with *err.
int hunt_run(struct hunter *x, struct rf_error *err);
// Frees what *x holds; the present run's files are removed.
void hunter_release(struct hunter *x);

// Functions that return an int: 1 a deadlock was found (now, or known already), 0 not, -1 with *err.

// The program as it is, and its candidates; after a deadlock there these are worked out with keep_going only.
int hunt_first_run(struct hunter *x, struct rf_error *err);
// One candidate, at up to three of its forks.
int hunt_candidate(struct hunter *x, size_t i, struct rf_error *err);
// The i-th run with another schedule.
int hunt_wide(struct hunter *x, uint64_t i, struct rf_error *err);
// The plan of a candidate's first run, and of the i-th with another schedule: they release nothing.
void hunt_candidate_plan(const struct hunter *x, size_t i, struct schedule *out);
void hunt_wide_plan(const struct hunter *x, uint64_t i, struct schedule *out);
bool hunt_has_wide(const struct hunter *x); // the search goes on when the candidates are through
// No more runs: h.stopped says why.
bool hunt_over(struct hunter *x);
// The text of a schedule file; the caller's.
char *hunt_schedule_text(const struct schedule *plan);
// Frees what h holds, and leaves it empty but for argv, output, input and begin_us.
void hunt_release(struct hunt *h);

const char *hunt_strategy_name(enum search search); // "all", "directed", ...
bool hunt_strategy_find(const char *name, enum search *out);

#endif

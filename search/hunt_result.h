// What a hunt has found out, for its reports.
#ifndef REFORK_SEARCH_HUNT_RESULT_H
#define REFORK_SEARCH_HUNT_RESULT_H

#include "recorder/plan/gate.h"
#include "search/candidates.h"

#include <jansson.h>

// A deadlock that was made to happen.
struct hunt_found {
    char trace[4096], schedule[4200]; // files; schedule "": it was the program as it is
    char how[400];                    // "fork gate: ...", "pct, seed 7"
    size_t candidate;                 // index; SIZE_MAX: none
    uint64_t run;
    char *text;      // the verdict as `explain` prints it
    json_t *verdict; // ... and as its JSON
    char key[700];   // tells deadlocks apart
};

// What became of a candidate.
struct hunt_try {
    bool tried, found;
    enum gate_verdict verdict;
    char reason[500];
    uint64_t runs, fork;
    const char *stage;
    uint64_t ms;
};

// A run whose program ended otherwise than --healthy says, and that is no deadlock.
struct hunt_unhealthy {
    uint64_t run;
    size_t candidate; // index; SIZE_MAX: none
    char how[400], ended[60];
    char *schedule; // text for `record --schedule`; NULL: the program as it is
};

// Of a hunt that is shared out (search/shard.h).
struct hunt_shared {
    const char *folder;
    uint64_t done, length; // of the list of runs; length UINT64_MAX: it has no end but the time
    bool complete;         // every run of it, or all that there was time for
};

struct hunt {
    char *const *argv;
    const char *output, *input; // input NULL: none
    struct candidates candidates;
    struct hunt_try *tries;
    struct hunt_found *found;
    size_t found_count;
    struct hunt_unhealthy *unhealthy;
    size_t unhealthy_count;
    bool judges_ends; // --healthy was given
    bool any_order;   // a strategy was chosen that looks for deadlocks of threads as well: it needs no fork
    uint64_t runs, directed_runs, wide_runs, failed_runs, timed_out_runs;
    char first_end[100]; // how the first run ended
    char errors[2048];   // the last of its stderr, when nothing could be hunted there; bytes of the program
    uint64_t begin_us, spent_us;      // spent_us: in all, 0: since begin_us
    const struct hunt_shared *shared; // NULL: in one go
    const char *stopped;              // why before the end; NULL
};

#endif

// What `refork minimize` has found out. Private to cli/minimize*.c.
#ifndef REFORK_SEARCH_MINIMIZE_H
#define REFORK_SEARCH_MINIMIZE_H

#include "search/run_once.h"
#include "search/segments.h"

#include <jansson.h>

// What came of a run.
enum ending {
    ENDING_UNKNOWN, // it was not made: interrupted, or there were enough
    ENDING_HANGS,   // in the deadlock that is to be minimized
    ENDING_OTHER,   // in another one, or for a reason that is not known
    ENDING_LATE,    // it was stopped when its time was over
    ENDING_ENDS,    // by itself
};

struct stint_list {
    struct schedule_stint *v;
    size_t count;
};

// One run that was kept.
struct kept_run {
    char trace[4200], schedule[4300];
    size_t switches, free_switches; // of tasks; ... where the task could have gone on
    bool signaled;                  // how the program ended, if it did
    int status;
};

// One of the two that decide: where its task is when the order is still open.
struct side {
    uint32_t task; // in order of creation, from 1
    uint64_t step; // own steps that it has made
    int tid, pid;
    uint64_t event; // of the run that hangs
    char name[32];  // of the task
    char next[400]; // what it does next, "" when that is not known: "calls pthread_mutex_lock"
    char *text;     // its stack as `explain` prints it
    json_t *point;  // ... and as its JSON has it
};

struct pair {
    bool known;
    bool exact;                // the two steps are adjacent; else they are whole stints
    struct side first, second; // first before second: it hangs
    uint64_t first_until, second_until;
    struct kept_run hangs, ends;
    unsigned exchanged, hung; // exchanges of two stints that were tried, and in which it hung all the same
};

struct minimize {
    const char *input;
    char *const *argv, *const *environment;
    char output[4096]; // the minimal recording's name
    char stem[4000];   // of the other names
    char file[4200];   // takes the program's output
    bool to_file;      // ... or it is dropped
    uint64_t runs_max, timeout_ms, begin_us;
    bool terminal;
    char key[700]; // of the deadlock
    struct stint *recorded;
    size_t recorded_count;
    struct schedule places; // the places at which stints end

    char trace[4200]; // of the present run
    uint64_t runs;
    unsigned failures; // recordings in a row that could not be made
    struct run_once_result last;
    const char *stopped; // why before the end; NULL
    struct known_run {
        uint64_t hash;
        enum ending ending;
    } * known;
    size_t known_count;

    struct stint_list best;
    struct kept_run minimal; // trace "": none
    struct kept_run fewest;  // with the fewest switches, fewer than it has; "": none
    char *text;              // its verdict
    json_t *verdict;
    char (*names)[32]; // of the tasks of `minimal`, by number from 0
    size_t name_count;
    struct pair pair;
    struct rf_error *err;
};

// ---- minimize_run.c: runs of lists of stints
// Runs the program in these stints: an enum ending, or -1 with *m->err. What is known from before is not run again.
int minimize_try(struct minimize *m, const struct stint_list *list);
// Runs it in any case, so that m->trace is there afterwards.
int minimize_run(struct minimize *m, const struct stint_list *list);
// Keeps the last run's recording as `path`, and `list` as its schedule: 0 or -1.
int minimize_keep(struct minimize *m, const struct stint_list *list, const char *path, struct kept_run *out);
// The stints that were recorded in `path`, and how many switches; `list` may be NULL. 0 or -1.
int minimize_read_stints(struct minimize *m, const char *path, struct stint_list *list, struct kept_run *out);
size_t count_free(const struct stint *stints, size_t count);
// Adds a stint; one of the same task that follows its last one prolongs that.
void stint_list_add(struct stint_list *list, struct schedule_stint stint);
// ... as it was recorded. Where that ends between two steps, the place is kept (PLACED), or a step taken instead.
enum rounding { ROUND_PLACED, ROUND_UP, ROUND_DOWN, ROUNDINGS };
void minimize_add_recorded(struct minimize *m, struct stint_list *list, const struct stint *stint,
                           enum rounding rounding);
// The schedule of a list; its arrays stay m's and the list's.
struct schedule minimize_plan(const struct minimize *m, const struct stint_list *list);
void stint_list_append(struct stint_list *list, const struct stint_list *other, size_t from, size_t to);
void stint_list_release(struct stint_list *list);
void minimize_progress(const struct minimize *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// ---- minimize_pair.c
// Looks for the two adjacent stints whose order decides, of the list and then of the run that it makes. 0 or -1.
int minimize_find_pair(struct minimize *m);

// ---- minimize_report.c
void minimize_report_text(FILE *out, const struct minimize *m);
int minimize_report_json(FILE *out, const struct minimize *m);

#endif

// The fewest switches between tasks that still deadlock, and the two steps whose order decides.
#ifndef REFORK_SEARCH_MINIMIZE_MINIMIZE_H
#define REFORK_SEARCH_MINIMIZE_MINIMIZE_H

#include "core/cpu/model.h"
#include "search/program_start.h"
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

struct segment_list {
    struct schedule_segment *v;
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
    bool exact;                // the two steps are adjacent; else they are whole segments
    struct side first, second; // first before second: it hangs
    uint64_t first_until, second_until;
    struct kept_run hangs, ends;
    unsigned exchanged, hung; // exchanges of two segments that were tried, and in which it hung all the same
};

struct minimize {
    // The caller's. argv NULL: the recorded program, with its arguments and environment.
    const char *input;
    char *const *argv;
    char output[4096]; // the minimal recording's name
    char stem[4000];   // of the other names
    uint64_t runs_max, timeout_ms, begin_us, cpus;
    enum cpu_level cpu; // that the program is shown
    bool terminal;

    struct program_start start;
    char *const *environment;
    char file[4200]; // takes the program's output
    bool to_file;    // ... or it is dropped
    char key[700];   // of the deadlock
    struct segment *recorded;
    size_t recorded_count;
    struct schedule places; // the places at which segments end

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

    struct segment_list best;
    struct kept_run minimal; // trace "": none
    struct kept_run fewest;  // with the fewest switches, fewer than it has; "": none
    char *text;              // its verdict
    json_t *verdict;
    char (*names)[32]; // of the tasks of `minimal`, by number from 0
    size_t name_count;
    struct pair pair;
};

// Reads m->input: 1 it has a deadlock, 0 none, -1 with *err. Without m->argv the recorded program is meant.
int minimize_read(struct minimize *m, struct rf_error *err);
// Looks for what m->input needs least to deadlock, between interrupt_begin and interrupt_end: 1 found, 0 interrupted before
// it hung again, -1 with *err.
int minimize_search(struct minimize *m, struct rf_error *err);
void minimize_release(struct minimize *m);

#endif

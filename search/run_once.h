// One recording in a process of its own: whatever happens to it, or in it, the caller goes on and nothing of it is left.
#ifndef REFORK_SEARCH_RUN_ONCE_H
#define REFORK_SEARCH_RUN_ONCE_H

#include "core/error.h"
#include "recorder/record/record.h"
#include "recorder/plan/schedule.h"

struct run_once {
    char *const *argv;
    char *const *environment;        // of the program; NULL: refork's own
    const char *output;              // trace file to make
    const struct schedule *schedule; // NULL: none
    const char *save_schedule; // gets the plan's gate and places and the switches that were made; NULL: no
    bool count_steps;          // record_result.steps is wanted
    bool aslr, keep_going;
    bool gate_only;             // the recording ends when the gate's verdict is known
    const char *input;          // the program's stdin is this file; NULL: it is empty
    const char *program_output; // gets the program's stdout and stderr; NULL: they are dropped
    unsigned cpus;              // as in record_options
    enum cpu_level cpu;         // the same
    bool no_probes;             // the same
    uint64_t timeout_ms;        // the recording is stopped after so long; 0: never
    // Asked about once a second: true ends the run as a signal would, see run_once_result.given_up. NULL: never.
    bool (*give_up)(void *context);
    void *context;
    uint64_t patient_ms; // ... or later, see record_options
};

struct run_once_result {
    struct record_result record;
    bool timed_out;
    bool given_up; // nothing is known of the run
    uint64_t ms;   // how long it took
};

// Records argv once: 0, or -1 with *err as record_run gives it, or when the recording process died or the caller was
// interrupted (RF_CANNOT; search/interrupt.h). Its tasks are gone when this returns.
int run_once(const struct run_once *run, struct run_once_result *result, struct rf_error *err);

// Writes `plan`'s gate and places and `made`'s switches, for `record --schedule`.
int run_once_save_schedule(const char *path, const struct schedule *plan, const struct schedule *made,
                           struct rf_error *err);

#endif

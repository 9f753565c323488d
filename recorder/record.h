// The recorder's one entry point.
#ifndef REFORK_RECORDER_RECORD_H
#define REFORK_RECORDER_RECORD_H

#include "core/error.h"
#include "recorder/plan/gate.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct schedule;

struct record_options {
    const char *output;              // trace file to make
    char *const *argv;               // program and arguments; argv[0] is looked up in PATH
    bool chaos;                      // switch at random landmarks
    uint64_t seed;                   // of chaos
    bool aslr;                       // leave address randomisation on
    bool keep_going;                 // do not stop the program when it is stuck
    uint32_t paranoid_every;         // memory digest every so many events; 0: none
    const struct schedule *schedule; // recorder/plan/schedule.h; NULL: none
    struct schedule *saved;          // gets the switches of tasks that were made; NULL: not wanted
    FILE *log;                       // one line per stop; NULL: no
    uint64_t limit_ms;               // everything is ended after so long; 0: never
    // So long, if that is longer, when all that the gate's child does at limit_ms is to wait and wait again with a
    // time limit: whether it goes on so for ever takes seconds to find out.
    uint64_t patient_ms;
    bool gate_only; // everything is ended when the gate's verdict is known
    // Names the function of a code address of a live process, for messages; may be NULL.
    void (*name_pc)(int pid, uint64_t pc, char *buffer, size_t size);
};

struct record_result {
    bool started; // the program's exec worked
    bool stuck;   // the recorder stopped it because it waits for ever
    bool proved;  // ... for certain
    int stuck_pid, stuck_tid;
    bool timed_out; // limit_ms is over
    bool gate_done; // ended for gate_only
    bool signaled;  // the program ended by a signal
    int status;     // its exit status, or the signal's number
    uint64_t events;
    uint64_t switches; // of tasks
    uint64_t steps; // of the schedule: while more than one task could run; 0 without `schedule` and `saved`
    struct gate_outcome gate;
};

// Records one program from start to end: 0, or -1 with *err (RF_NOT_FOUND, RF_NOT_EXECUTABLE, RF_CANNOT). The
// trace holds what was recorded in either case, once the program has started.
int record_run(const struct record_options *options, struct record_result *result, struct rf_error *err);

// One kernel or CPU feature that refork uses, for `refork doctor`: name, whether it is there, what is lost
// without it and what to do.
struct feature {
    const char *name;
    bool available, required;
    char detail[160];   // what was seen
    const char *lost;   // what is lost without it
    const char *remedy; // what to do about it; NULL: nothing
};
// Probes this machine (forks short-lived children); returns the number filled in.
int probe_features(struct feature *out, int max);

#endif

// A test harness (make check, ctest, pytest), run as it is. A test of it that hangs after a fork is told, ended, and made to hang
// again under the recorder.
#ifndef REFORK_SEARCH_HARNESS_H
#define REFORK_SEARCH_HARNESS_H

#include "core/error.h"
#include "replayer/verdict/verdict.h"

struct harness_options {
    char *const *argv;
    const char *folder;  // where what is found goes: NAME-PID-START.txt, .json and .refork
    uint64_t every_ms;   // between two looks
    uint64_t timeout_ms; // a test that runs for longer hangs; 0: no limit
    uint64_t runs;       // of the program that hung, to record it; 0: it is not run again
    enum verdict_level fail_on;
};

struct harness_end {
    bool signaled;
    int value;     // status, or the signal
    unsigned hung; // tests that hung
    unsigned recorded;
};

// Between interrupt_begin and interrupt_end. 0 (*end tells), or -1 with *err: RF_NOT_FOUND and RF_NOT_EXECUTABLE of the harness.
int harness_run(const struct harness_options *options, struct harness_end *end, struct rf_error *err);

#endif

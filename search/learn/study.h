// A lesson that is studied: its program, recorded on the spot, the verdict on it, and the same of its fix.
#ifndef REFORK_SEARCH_LEARN_STUDY_H
#define REFORK_SEARCH_LEARN_STUDY_H

#include "search/learn/lesson.h"
#include "search/learn/workshop.h"

#include <stdint.h>

struct study_run {
    bool made;
    char trace[WORKSHOP_PATH + 256];
    bool deadlock; // it was stopped, since it waits for ever
    bool signaled; // else it ended, by this signal or with this status
    int status;
    uint64_t events;
    char *output;    // what the program printed
    char *verdict;   // as `refork explain` prints it
    char kinds[256]; // of its findings, with blanks between them; "none"
};

struct study {
    const struct lesson *lesson;
    struct workshop *workshop;
    struct study_run bug, fix;
    char *difference; // between the sources; NULL: unknown
    char *proof;      // what `refork verify` says of the fix; NULL: the lesson does not ask it
    unsigned orders;  // runs of the fix in random orders that ended; they stop at one that hangs
    bool proved;      // the fix is one
};

// Both must outlive the study. Makes nothing yet.
void study_begin(struct study *s, const struct lesson *l, struct workshop *w);
void study_end(struct study *s);
// Records the program, unless that is done: 0, or -1 with *err, which says what is missing here.
int study_record(struct study *s, struct rf_error *err);
// Records the fix and verifies it, unless that is done.
int study_repair(struct study *s, struct rf_error *err);
// Did the recording lead to the kind of verdict that the lesson is about?
bool study_as_expected(const struct study *s);

// One recording of a program (with `env VARIABLE=VALUE` before it unless `environment` is ""), with its verdict. Shared with the
// grading of exercises. `seed` 0: in refork's own order, else in a random one.
int study_run_record(struct study_run *run, const char *program, const char *environment, uint64_t seed,
                     struct rf_error *err);
void study_run_release(struct study_run *run);
// What verify says of `program` held against the deadlock in `trace`: RF_OK, RF_DEADLOCK or RF_CANNOT, -1 with *err. *words the
// caller's.
int study_verify(const char *trace, const char *program, const char *environment, const char *output,
                 uint64_t runs, char **words, struct rf_error *err);

#endif

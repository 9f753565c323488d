// Two recordings of one program, held against each other: where they begin to differ.
#ifndef REFORK_REPLAYER_COMPARE_COMPARE_H
#define REFORK_REPLAYER_COMPARE_COMPARE_H

#include "replayer/compare/steps.h"

#define NO_STEP ((size_t)-1)

struct difference {
    bool found;
    size_t a, b; // indexes of steps; NO_STEP: this one has ended there
    // Of the schedule: with that step the task gets its turn, and stands before it where its last turn ended.
    bool begins_a, begins_b;
};

// How a step of a task differs from the same step of the same task in the other recording.
enum data_difference {
    DATA_CALL,    // it makes another call, or ends, or takes a signal
    DATA_RESULT,  // the same call gets something else
    DATA_WRITTEN, // the same call writes something else
};

struct comparison {
    size_t same;                // steps before either difference
    struct difference schedule; // where one task has its turn in one, and another task or none in the other
    struct difference data;   // the first step of a task that is not what the same step of it is in the other
    enum data_difference how; // of `data`
    size_t clocks;            // readings of clocks and random numbers that differ: they count for nothing
    size_t tasks_a, tasks_b;
};

// "gets something else from the same call": what a task does there.
const char *data_difference_text(enum data_difference how);

void compare_steps(const struct steps *a, const struct steps *b, struct comparison *out);

#endif

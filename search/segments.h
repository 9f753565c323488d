// Who ran when in a recording, in numbers that name the same places in another run of the program: each task's own
// steps (event_own_steps, and its library calls).
#ifndef REFORK_SEARCH_SEGMENTS_H
#define REFORK_SEARCH_SEGMENTS_H

#include "replayer/timeline.h"

enum stint_end {
    STINT_ENDS_AT,     // its last step is complete
    STINT_ENDS_BEFORE, // at an instruction between that step and the next one (a breakpoint of the fork gate)
    STINT_ENDS_BEHIND, // behind one
};

// A time in which one task alone ran.
struct stint {
    uint32_t task; // in order of creation, from 1
    int tid;
    uint64_t from, until; // its own steps, before and behind; one more when it has ended
    uint64_t event;       // the last one
    enum stint_end end;
    uint64_t code;   // address of that instruction, of a breakpoint
    char *module;    // file name of the module with that instruction; NULL: none, or of no breakpoint
    uint64_t offset; // link-time address in it
    bool forced;     // it could not go on: it slept, waited, or ended
};

// The event of a task at which it had made so many steps, else the last one with fewer.
struct stint_point {
    uint32_t task;
    uint64_t step;
    int tid, pid;        // 0: that task is not in the recording
    uint64_t event, own; // own: the steps that it had made there
};

// The first event of a task that is not before `event`.
struct stint_moment {
    int tid;
    uint64_t event;
    uint32_t task; // 0: there is none
    uint64_t step; // own steps that it has made there
    size_t stint;  // index
};

// What else is to be told of the recording. Event numbers and steps in, the rest out.
struct stint_questions {
    struct stint_point *points;
    size_t point_count;
    struct stint_moment *moments;
    size_t moment_count;
};

// The stints of the recording into *out (for stints_free), their number into *count, and the answers (NULL: none). 0, or -1
// with *err. Re-executes everything.
int stints_read(struct timeline *t, struct stint **out, size_t *count,
                const struct stint_questions *questions, struct rf_error *err);
void stints_free(struct stint *stints, size_t count);

// Of the switches between these, those at which the task could have gone on.
size_t stints_unforced(const struct stint *stints, size_t count);

#endif

// Who ran when in a recording, in numbers that name the same places in another run of the program: each task's own
// steps (event_own_steps, and its library calls).
#ifndef REFORK_SEARCH_SEGMENTS_H
#define REFORK_SEARCH_SEGMENTS_H

#include "replayer/timeline.h"

enum segment_end {
    SEGMENT_ENDS_AT,     // its last step is complete
    SEGMENT_ENDS_BEFORE, // at an instruction between that step and the next one (a breakpoint of the fork gate)
    SEGMENT_ENDS_BEHIND, // behind one
};

// A time in which one task alone ran.
struct segment {
    uint32_t task; // in order of creation, from 1
    int tid;
    uint64_t from, until; // its own steps, before and behind; one more when it has ended
    uint64_t event;       // the last one
    enum segment_end end;
    uint64_t code;   // address of that instruction, of a breakpoint
    char *module;    // file name of the module with that instruction; NULL: none, or of no breakpoint
    uint64_t offset; // link-time address in it
    bool forced;     // it could not go on: it slept, waited, or ended
};

// The event of a task at which it had made so many steps, else the last one with fewer.
struct segment_point {
    uint32_t task;
    uint64_t step;
    int tid, pid;        // 0: that task is not in the recording
    uint64_t event, own; // own: the steps that it had made there
};

// The first event of a task that is not before `event`.
struct segment_moment {
    int tid;
    uint64_t event;
    uint32_t task;  // 0: there is none
    uint64_t step;  // own steps that it has made there
    size_t segment; // index
};

// What else is to be told of the recording. Event numbers and steps in, the rest out.
struct segment_questions {
    struct segment_point *points;
    size_t point_count;
    struct segment_moment *moments;
    size_t moment_count;
};

// The segments of the recording into *out (for segments_free), their number into *count, and the answers (NULL: none). 0, or -1
// with *err. Re-executes everything.
int segments_read(struct timeline *t, struct segment **out, size_t *count,
                  const struct segment_questions *questions, struct rf_error *err);
void segments_free(struct segment *segments, size_t count);

// Of the switches between these, those at which the task could have gone on.
size_t segments_unforced(const struct segment *segments, size_t count);

#endif

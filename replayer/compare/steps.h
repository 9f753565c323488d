// What a recording's tasks did, step by step, in words that another recording of the same program can be held against: tasks by the
// order of their births instead of TIDs, and nothing that refork adds by itself.
#ifndef REFORK_REPLAYER_COMPARE_STEPS_H
#define REFORK_REPLAYER_COMPARE_STEPS_H

#include "core/error.h"
#include "core/event.h"

#include <stdbool.h>

struct step {
    uint64_t event;
    uint32_t task;  // from 1, in the order of births
    uint64_t made;  // steps of its own that the task has made (event_own_steps), this one too
    uint64_t place; // not 0: no step, but a place between two of them, where a turn may end: which one, mixed
    uint64_t calls; // of a TICK: library calls that its address space has made
    uint8_t kind;   // enum event_kind
    int32_t nr;     // as in the event
    bool clock;     // tells the time, or a random number: differs from run to run
    uint64_t result; // what came of it: return value and bytes, mixed; TIDs and PIDs by number
    uint64_t data;   // what the program gave the kernel to be written, mixed; 0: nothing
};

struct steps {
    struct step *all;
    size_t count;
    int *tids; // of task i + 1
    size_t task_count;
    uint64_t events;
};

// Reads the recording `path`. 0, or -1 with *err; steps_release after both.
int steps_read(const char *path, struct steps *out, struct rf_error *err);
void steps_release(struct steps *s);

#endif

// How the recorded program was started: what it takes to start it again.
#ifndef REFORK_SEARCH_PROGRAM_START_H
#define REFORK_SEARCH_PROGRAM_START_H

#include "replayer/timeline.h"

struct program_start {
    char *path;                 // of the program's file; "" when the recording does not say
    char **argv, **environment; // end with NULL
};

// From the first image's stack. 0, or -1 with *err (RF_CANNOT: no whole list of arguments is there). Moves t.
int program_start_read(struct timeline *t, struct program_start *out, struct rf_error *err);
void program_start_release(struct program_start *p);

#endif

// A hunt's parts as JSON, for the files that its shards share. What is read back is checked as if it were hostile.
#ifndef REFORK_SEARCH_HUNT_JSON_H
#define REFORK_SEARCH_HUNT_JSON_H

#include "search/hunt.h"

// What the first run has shown: candidates, forks, steps. The caller's.
json_t *hunt_json_plan(const struct hunter *x);
// Fills x from it; -1: it is none. The strings of x->h.candidates live as long as `plan`.
int hunt_json_read_plan(struct hunter *x, const json_t *plan);

// What one entry of the list has added to x->h since `before` (counts and lengths of then). `candidate` SIZE_MAX: none.
json_t *hunt_json_result(const struct hunter *x, const struct hunt *before, size_t candidate);
// Adds it to x->h, as the `run`-th run, files being in `folder`; deadlocks that are known there already are left out. -1: it
// is none.
int hunt_json_add_result(struct hunter *x, const json_t *result, uint64_t run, const char *folder);

#endif

// Which other locks could be the recorded one, and what their holders call.
#ifndef REFORK_SEARCH_SITUATION_OTHERS_H
#define REFORK_SEARCH_SITUATION_OTHERS_H

#include "search/situation.h"

// Which lock is asked for.
struct situation_other {
    int forker;
    uint64_t at;         // an event at which `forker` lives
    const uint64_t *but; // these are known already: addresses
    size_t but_count;
};

// The recorded lock has no name: another lock without one that another task than the forker took at the recorded place,
// and a child of its process, too. That may be the recorded one as well. *address 0: there is none. Re-executes all of
// the recording. 0, or -1 with *err.
int situation_find_other(const struct situation_run *r, const struct situation_other *other,
                         uint64_t *address, struct rf_error *err);

// The first call in which a task may sleep that holds a lock taken at the recorded place, in that run; -1: there is none.
// Re-executes all of the recording. 0, or -1 with *err.
int situation_park_call(const struct situation_run *r, int32_t *call, struct rf_error *err);

#endif

// Which other locks could be the recorded one, and what their holders call.
#ifndef REFORK_SEARCH_SITUATION_OTHERS_H
#define REFORK_SEARCH_SITUATION_OTHERS_H

#include "search/situation.h"

// The recorded lock has no name: a lock without one, but those of `but`, that another task than `forker` took at the
// recorded place, and a child of its process, too. That may be the recorded one as well. *other 0: there is none. `at`: an
// event at which `forker` lives. Re-executes all of the recording. 0, or -1 with *err.
int situation_other(const struct situation *s, const struct situation_sites *sites, struct timeline *t,
                    int forker, uint64_t at, const uint64_t *but, size_t but_count, uint64_t *other,
                    struct rf_error *err);

// The first call in which a task may sleep that holds a lock taken at the recorded place, in that run; -1: there is none.
// Re-executes all of the recording. 0, or -1 with *err.
int situation_park_call(const struct situation *s, const struct situation_sites *sites, struct timeline *t,
                        int32_t *call, struct rf_error *err);

#endif

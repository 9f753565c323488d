// Where another build takes the recorded lock.
#ifndef REFORK_SEARCH_SITUATION_SITES_H
#define REFORK_SEARCH_SITUATION_SITES_H

#include "search/situation.h"

// Where the lock is taken, in the modules that task `tid` has at t's position.
int situation_locate(const struct situation *s, struct timeline *t, int tid, struct situation_sites *out,
                     struct rf_error *err);

#endif

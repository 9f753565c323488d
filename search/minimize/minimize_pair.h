// The two steps whose order decides.
#ifndef REFORK_SEARCH_MINIMIZE_MINIMIZE_PAIR_H
#define REFORK_SEARCH_MINIMIZE_MINIMIZE_PAIR_H

#include "search/minimize/minimize.h"

// Looks for the two adjacent segments whose order decides, of the list and then of the run that it makes. 0 or -1.
int minimize_find_pair(struct minimize *m, struct rf_error *err);

#endif

// What a recorded program printed, by process, and whether it did its task with that.
#ifndef REFORK_SEARCH_LEARN_PRINTED_H
#define REFORK_SEARCH_LEARN_PRINTED_H

#include "search/learn/lesson.h"

// Replays `trace` and holds it against what the lesson's exercise must do: the lines that each process prints, in any order, and the
// threads and processes that it must start. *missed: the first thing that is not so, in words, the caller's; NULL: all is done.
// 0, or -1 with *err.
int printed_check(const char *trace, const struct lesson *l, char **missed, struct rf_error *err);

#endif

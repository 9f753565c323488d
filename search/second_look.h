// The recorder's second look: a process of its own that replays the unfinished recording.
#ifndef REFORK_SEARCH_SECOND_LOOK_H
#define REFORK_SEARCH_SECOND_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Starts `refork explain --waiting TID,... TRACE` (all:TID,... when nobody else could end their waits) on any CPU but
// `cpu`, if there is one. Returns the end of a pipe with its answer (the caller closes it and reaps *pid), or -1 with
// errno. For record_options.second_look.
int second_look_start(const char *trace, const int *tids, size_t count, bool alone, int cpu, pid_t *pid);

#endif

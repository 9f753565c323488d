// How far a long operation of a timeline is, on a terminal's stderr.
#ifndef REFORK_SEARCH_PROGRESS_H
#define REFORK_SEARCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct timeline;

struct progress {
    uint64_t begin_us;
    bool terminal, shown;
};

// Shows "refork: re-executing 42%" while long operations of `t` run, from half a second on; Ctrl-C cancels them
// (interrupted() tells). *p must live until progress_end.
void progress_begin(struct progress *p, struct timeline *t);
void progress_end(struct progress *p, struct timeline *t);

#endif

// How far a long operation is, in one line of the terminal that stderr is.
#ifndef REFORK_SEARCH_PROGRESS_H
#define REFORK_SEARCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct timeline;

// Shows a line in the place of the one that was shown before. It is cut to the terminal's width, and nothing in it is a
// control character. Only for a terminal: the caller knows that stderr is one.
void progress_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Takes the line away, if one is shown: before anything else is printed.
void progress_clear(void);

struct progress {
    uint64_t begin_us;
    bool terminal, shown;
};

// Shows "refork: re-executing 42%" while long operations of `t` run, from half a second on; Ctrl-C cancels them
// (interrupted() tells). *p must live until progress_end.
void progress_begin(struct progress *p, struct timeline *t);
void progress_end(struct progress *p, struct timeline *t);

#endif

// What children of threaded processes call between fork and exec or _exit that is not async-signal-safe, by
// re-execution with breakpoints on the entries of libc's functions.
#ifndef REFORK_REPLAYER_LINT_LINT_H
#define REFORK_REPLAYER_LINT_LINT_H

#include "replayer/timeline.h"
#include "replayer/verdict/verdict.h"

enum lint_level {
    LINT_ERROR,   // took a lock that a thread of the parent may hold at the fork
    LINT_WARNING, // not safe by POSIX; took no lock this time
    LINT_NOTE,    // not safe by POSIX; fork() makes its locks free in the child, or it never waits
};

#define LINT_LOCKS 4

// One call site: the same function called from the same place.
struct lint_call {
    char function[128];
    enum lint_level level;
    size_t count, children;           // calls, in so many processes
    struct finding_point point, fork; // of the first one, and of its child's fork
    struct finding_lock locks[LINT_LOCKS];
    size_t lock_count;
    bool waits; // false: it releases or initialises
    bool freed; // a lock that it took had been released by a fork handler
};

struct lint {
    struct lint_call *calls; // by level, then as they came
    size_t count;
    size_t children; // forked children of threaded processes
    bool no_symbols; // of a program that is linked statically: nothing could be seen
    uint64_t events;
    char program[256];
};

const char *lint_level_name(enum lint_level level); // "error", "warning", "note"
// The reason of a call's level, a sentence without its end.
void lint_reason(const struct lint_call *c, char *out, size_t size);

// 0 and *out (lint_free), or -1 (diverged, interrupted).
int lint_run(struct timeline *t, struct lint **out, struct rf_error *err);
void lint_free(struct lint *l); // NULL is fine

#endif

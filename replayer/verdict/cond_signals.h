// Which threads call pthread_cond_signal or pthread_cond_broadcast on a condition. A call that finds nobody waiting writes
// nothing, so no watchpoint shows it: breakpoints do.
#ifndef REFORK_REPLAYER_VERDICT_COND_SIGNALS_H
#define REFORK_REPLAYER_VERDICT_COND_SIGNALS_H

#include "replayer/verdict/case.h"

// One call of each thread: the first behind the fork, or else the last before it.
struct cond_signals {
    struct cond_signal {
        struct finding_point point;
    } * calls;
    size_t count;
    bool own; // another task of the waiter's own process calls it, too
};

// The calls, for the condition that w waits for, of tasks of the space that `child` was forked from, before that fork and
// behind it. Looks for a limited time, nearest to the fork first. Moves the timeline. 0 or -1; free `out` in either case.
int cond_signals_find(struct analysis *a, const struct waiter *w, size_t child, struct cond_signals *out,
                      struct rf_error *err);
void cond_signals_free(struct cond_signals *s);

#endif

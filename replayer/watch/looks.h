// What the watched processes looked like, look by look: /proc alone is read here, nothing is stopped.
#ifndef REFORK_REPLAYER_WATCH_LOOKS_H
#define REFORK_REPLAYER_WATCH_LOOKS_H

#include "replayer/watch/target.h"

#include <stdbool.h>

struct watched {
    int pid;
    uint64_t start;
    char name[32];
    bool forked; // it has not called exec since the fork that made it
    bool seen;   // in the present look
    // Which of its threads have waited in a futex call, or run in user code alone, since the look before; 0: none.
    uint64_t still;
    unsigned pause; // looks between two diagnoses; doubles while nothing is found
    unsigned due;   // looks until the next one
    int stuck;      // the thread that a diagnosis called stuck, and that has not moved since; 0: none
    bool denied;    // what its threads do may not be known
    bool refused;   // it could not be looked into, which was said
    struct thread_look {
        int tid;
        char state;
        uint64_t user, system, switches;
        bool denied;
        bool waits;        // in a futex call without a time-out
        uint64_t args, sp; // of that call, mixed
        bool still;
    } * threads;
    size_t thread_count;
};

struct looks {
    struct watched *all;
    size_t count;
    uint64_t looks;
};

// Reads /proc about the target's processes; forgets those that are gone.
void looks_take(struct looks *l, const struct watch_target *target);
// Does `w` look stuck enough to be stopped and looked into? A thread of it has been in the same futex call since the look before, or has run without a call. Or what it does may not be known, which a
// diagnosis then explains. Counts: once in a look.
bool looks_due(struct watched *w);
// A diagnosis has stopped its threads, which /proc counts as switches: takes it as it is now, with thread `tid` stuck (0: nothing
// was found; not again before `looks` looks, however it looks).
void looks_diagnosed(struct watched *w, int tid, unsigned looks);
void looks_release(struct looks *l);

#endif

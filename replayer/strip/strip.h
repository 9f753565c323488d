// Takes out of a recording what its replay does not need, so that it can be given away.
#ifndef REFORK_REPLAYER_STRIP_STRIP_H
#define REFORK_REPLAYER_STRIP_STRIP_H

#include "replayer/strip/rewrite.h"

struct stripped {
    struct environment environment;
    size_t files, bytes; // sources that were left out
    size_t replays;      // that it took to find out what replay needs
    bool complete;       // false: there were too many variables that it needs; the rest stayed
};

// Writes the recording `path`, which must be whole, to `to` (another file): the same events with the values of the
// environment's variables replaced where the replay of what is written then still agrees with every event, and (`sources`)
// without the texts of sources. *out is to be released in any case.
int strip_copy(const char *path, const char *to, bool sources, struct stripped *out, struct rf_error *err);
void stripped_release(struct stripped *s);

// Writes only the stored verdict.
int strip_to_verdict(const char *path, const char *to, struct stripped *out, struct rf_error *err);

#endif

// What two recordings differ in, for people and for machines.
#ifndef REFORK_REPLAYER_COMPARE_TELL_H
#define REFORK_REPLAYER_COMPARE_TELL_H

#include "replayer/compare/compare.h"
#include "replayer/session/session.h"

#include <stdio.h>

// One of the two.
struct side {
    const char *path;
    struct steps steps;
    struct session *session;
};

// Executes both recordings as far as the places that it shows. 0 or -1.
int tell_text(FILE *out, struct side sides[2], const struct comparison *c, struct rf_error *err);
// docs/json.md describes it.
int tell_json(FILE *out, struct side sides[2], const struct comparison *c, struct rf_error *err);

#endif

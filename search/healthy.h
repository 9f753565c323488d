// Which ends of a program are healthy: "0,3,10-12,SIGTERM".
#ifndef REFORK_SEARCH_HEALTHY_H
#define REFORK_SEARCH_HEALTHY_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

struct healthy {
    bool given; // else every end is
    bool status[256], signal[65];
};

// Parses a list of exit statuses, ranges of them and names of signals; -1 with *err, which names `option`.
int healthy_parse(const char *text, const char *option, struct healthy *out, struct rf_error *err);
// `status`: the exit status, or the signal's number.
bool healthy_is(const struct healthy *h, bool signaled, int status);
// "exit status 3", "signal 11 (SIGSEGV)".
void healthy_name(bool signaled, int status, char *out, size_t size);

#endif

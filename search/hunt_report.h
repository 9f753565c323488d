// What a hunt has found out, for a person, for machines and for JUnit.
#ifndef REFORK_SEARCH_HUNT_REPORT_H
#define REFORK_SEARCH_HUNT_REPORT_H

#include "core/error.h"
#include "search/hunt_result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// A candidate in a line: its lock, where that is taken, the fork.
void hunt_describe(const struct hunt *h, size_t candidate, char *out, size_t size);
// Forks of the first run at which another thread was alive.
size_t hunt_forks_with_others(const struct hunt *h);
// Why there was nothing to hunt, in a sentence; false: there was, or something was found.
bool hunt_had_nothing(const struct hunt *h, char *why, size_t size);
void hunt_report_text(FILE *out, const struct hunt *h);
// 0, or -1 with errno.
int hunt_report_json(FILE *out, const struct hunt *h);
int hunt_report_junit(const char *path, const struct hunt *h, struct rf_error *err);

#endif

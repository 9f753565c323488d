// Exercises: a program to be repaired, and what came of it.
#ifndef REFORK_SEARCH_LEARN_GRADE_H
#define REFORK_SEARCH_LEARN_GRADE_H

#include "search/learn/lesson.h"
#include "search/learn/workshop.h"

#include <stdio.h>

enum grade_result { GRADE_FIXED, GRADE_HANGS, GRADE_TASK, GRADE_NOT_COMPILED };

// Compiles `file`, runs it in several orders, holds what it prints against the lesson's task, and forces the situation in which
// the exercise hangs. Tells the result on `out`. An enum grade_result, or -1 with *err.
int grade(const struct lesson *l, struct workshop *w, const char *file, FILE *out, struct rf_error *err);
// Writes the exercise's program to `path`, which must not be there.
int grade_write(const struct lesson *l, const struct workshop *w, const char *path, struct rf_error *err);

#endif

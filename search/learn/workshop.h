// Where programs of lessons are built: a temporary folder, the compiler, and the sources that are installed with refork.
#ifndef REFORK_SEARCH_LEARN_WORKSHOP_H
#define REFORK_SEARCH_LEARN_WORKSHOP_H

#include "core/error.h"

#include <stdbool.h>

enum { WORKSHOP_PATH = 4096 };

struct workshop {
    char root[WORKSHOP_PATH]; // has the folder samples: share/refork of the installation, or refork's sources
    char folder[WORKSHOP_PATH]; // temporary
    char refork[WORKSHOP_PATH]; // the folder of refork's own file
};

// Finds the root beside refork's own file: 0, or -1 with *err.
int workshop_find(struct workshop *w, struct rf_error *err);
// Makes the temporary folder, below $TMPDIR or /tmp; removed with all that is in it by workshop_close.
int workshop_open(struct workshop *w, struct rf_error *err);
void workshop_close(struct workshop *w);

// Builds `source` (a path; C, or C++ when it ends with .cc) as the program folder/NAME: 0; 1: the compiler refused it, its words are
// in folder/NAME.words; -1 with *err: RF_NOT_FOUND when there is no compiler.
int workshop_compile(const struct workshop *w, const char *source, const char *name, struct rf_error *err);
// The program of root/`source`, compiled, or without a compiler the installed one: its path goes to `program`. 0, or -1 with *err.
int workshop_build(const struct workshop *w, const char *source, const char *name, char *program,
                   struct rf_error *err);
// The lines in which root/b differs from root/a, without the comments at their heads, as `diff -u` writes them. The caller's; NULL:
// there is no diff.
char *workshop_difference(const struct workshop *w, const char *a, const char *b);
// A whole file: the caller's; NULL: it cannot be read.
char *workshop_text(const char *path);
// Can a program run with "LD_PRELOAD=LIBRARY" here?
bool workshop_has_library(const struct workshop *w, const char *environment);

#endif

// Copies a recording without some of what it holds.
#ifndef REFORK_REPLAYER_STRIP_REWRITE_H
#define REFORK_REPLAYER_STRIP_REWRITE_H

#include "core/trace/trace_read.h"

#include <stdbool.h>
#include <stddef.h>

// A variable of the environment that the programs of the recording were given.
struct variable {
    char *name;
    char *value;      // the longest that a program got
    bool out;         // replaced by as many 'x'
    bool kept;        // replay needs it
    size_t elsewhere; // pieces of events that have the value as well, and keep it
};
struct environment {
    struct variable *variables;
    size_t count;
};

// Every variable in the environments that the EXEC events gave, by name. -1: *err.
int environment_read(struct trace_reader *r, struct environment *out, struct rf_error *err);
void environment_release(struct environment *e);

struct rewrite {
    bool (*keep_blob)(const char *name); // which blobs the copy has
    bool events;                         // does it have the events?
    struct environment *environment;     // values marked `out` are replaced in EXEC events; NULL: none are
    size_t files, bytes;                 // out: blobs that were left out
};
int rewrite_copy(struct trace_reader *r, const char *path, struct rewrite *w, struct rf_error *err);

#endif

// rr in refork's place: which engine records, and commands that are given a trace of rr.
#ifndef REFORK_CLI_RR_H
#define REFORK_CLI_RR_H

#include "cli/command.h"
#include "replayer/rr/trace.h"

// Records with rr if that is asked for: its exit status, -1 with *err, or CLI_OWN_ENGINE.
enum { CLI_OWN_ENGINE = -2 };
int cli_rr_record(const struct cli_args *args, struct rf_error *err);

// Opens a trace of rr as --rr, --rr-options and the configuration say. Release it in any case.
int cli_rr_open(const struct cli_args *args, const char *path, struct rr_trace *out, struct rf_error *err);

// What refork's gdb and replay --batch do, done by rr: refork becomes rr, or -1.
int cli_rr_gdb(const struct cli_args *args, const char *path, struct rf_error *err);
int cli_rr_batch(const struct cli_args *args, const char *path, struct rf_error *err);

#define CLI_RR                                                                                               \
    {"rr", 0, "COMMAND", "the rr to use (default: of the configuration, else rr)"}, {                        \
        "rr-options", 0, "OPTIONS", "give rr these options, too"                                             \
    }

#endif

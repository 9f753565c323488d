// Trace files that the command line names, or does not.
#ifndef REFORK_CLI_FILES_H
#define REFORK_CLI_FILES_H

#include "cli/command.h"

// A name for the recording of `program` in the current folder that no file has yet: NAME.refork, NAME-2.refork, ...
int cli_new_trace(const char *program, char *path, size_t size, struct rf_error *err);
// The operand, or the newest *.refork of the current folder (announced on stderr when that is a terminal).
int cli_trace(const struct cli_args *args, char *path, size_t size, struct rf_error *err);

// Checks the whole file after what could be read of it was printed: a command that did not need the damaged part, or the
// end that is cut off, ends with 122 as well. 0, or -1 with *err.
int cli_check_file(const char *path, struct rf_error *err);
// The same of a trace that may be cut off.
int cli_check_undamaged(const char *path, struct rf_error *err);

#endif

// Completion scripts for shells, made from the tables of commands and options.
#ifndef REFORK_CLI_COMPLETION_H
#define REFORK_CLI_COMPLETION_H

#include "cli/command.h"

#include <stdio.h>

// Writes the script for `shell` (bash, zsh or fish): completion of every command in `commands` (ends with NULL). Another shell: -1
// and *err.
int cli_completion(FILE *out, const char *shell, const struct cli_command *const *commands,
                   struct rf_error *err);

#endif

// What refork says of itself.
#ifndef REFORK_CLI_HELP_H
#define REFORK_CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

// All commands, a line each.
void cli_usage(FILE *out, const struct cli_command *const *commands);
// One command's options.
void cli_help(FILE *out, const struct cli_command *command);
const struct cli_command *cli_find(const struct cli_command *const *commands, const char *name);

#endif

// What was taken out of a recording, for the user.
#ifndef REFORK_CLI_STRIP_H
#define REFORK_CLI_STRIP_H

#include "replayer/strip/strip.h"

#include <stdio.h>

void cli_say_environment(FILE *to, const struct stripped *s);

#endif

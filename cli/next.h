// What to do next: lines at the end of a command, on stderr, when that is a terminal.
#ifndef REFORK_CLI_NEXT_H
#define REFORK_CLI_NEXT_H

#include <stdbool.h>

// A recording with a deadlock: how to see it, and how to tell that it is mended. `argv`: the program that was recorded; NULL: it is
// not known.
void cli_next_deadlock(const char *path, char *const *argv);
// The program ended well: how to look for a rare deadlock. `wide`: that has been done, so for longer and with other orders.
void cli_next_hunt(char *const *argv, bool wide);

#endif

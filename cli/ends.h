// How refork ends.
#ifndef REFORK_CLI_ENDS_H
#define REFORK_CLI_ENDS_H

#include "core/error.h"

#include <stdbool.h>

// Prints "refork: ..." on stderr; returns the exit status for it.
int cli_print_error(const struct rf_error *err);
// Ends refork as the recorded program ended: exits with `status`, or dies by the signal `status`, so that a shell, make
// or an init above cannot tell refork from the program. Flushes; leaves no core dump of refork behind.
void cli_end_like(bool signaled, int status) __attribute__((noreturn));

#endif

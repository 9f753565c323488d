// --fail-on LEVEL: how sure a verdict must be to decide the exit status.
#ifndef REFORK_CLI_FAIL_ON_H
#define REFORK_CLI_FAIL_ON_H

#include "cli/command.h"
#include "replayer/verdict/verdict.h"

// The row of it in a command's table.
#define CLI_FAIL_ON                                                                                          \
    { "fail-on", 0, "proved|likely|suspicious", "end with 120 from this level on (default: likely)" }

// 0, or -1 with *err: the value is none.
int cli_fail_on(const struct cli_args *args, enum verdict_level *out, struct rf_error *err);
// RF_DEADLOCK or RF_OK.
int cli_verdict_status(const struct verdict *v, enum verdict_level fail_on);

#endif

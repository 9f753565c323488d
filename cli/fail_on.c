#include "cli/fail_on.h"

#include "cli/options.h"

int cli_fail_on(const struct cli_args *args, enum verdict_level *out, struct rf_error *err) {
    const char *name = cli_value(args, "fail-on");
    *out = VERDICT_LIKELY;
    if (!name || verdict_level_find(name, out)) return 0;
    return rf_fail(err, RF_CANNOT, "bad value '%s' of '--fail-on': give proved, likely or suspicious", name);
}

int cli_verdict_status(const struct verdict *v, enum verdict_level fail_on) {
    return verdict_level(v) >= fail_on ? RF_DEADLOCK : RF_OK;
}

#include "cli/options.h"
#include "core/printable.h"
#include "replayer/diagnose/diagnose.h"
#include "replayer/report/json.h"
#include "replayer/report/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text) {
    size_t i = 0;
    while (isdigit((unsigned char)text[i]))
        i++;
    return i && !text[i];
}

static int look(const char *what, struct diagnosis **out, struct rf_error *err) {
    if (!is_number(what)) return diagnose_core(what, out, err);
    errno = 0;
    long pid = strtol(what, NULL, 10);
    if (errno || pid < 1 || pid > INT_MAX)
        return rf_fail(err, RF_CANNOT,
                       "no process %s: give the PID of a live process (a file of that name: ./%s)", what,
                       what);
    return diagnose_process((int)pid, out, err);
}

static int diagnose_one(const char *what, bool json, struct rf_error *err) {
    struct diagnosis *d;
    if (look(what, &d, err)) return -1;
    const struct verdict *v = diagnosis_verdict(d);
    int status = v->deadlock ? RF_DEADLOCK : RF_OK;
    if (!json)
        report_text(stdout, v, diagnosis_source_line, d);
    else if (report_json(stdout, v))
        status = rf_fail_errno(err, RF_CANNOT, "could not write the verdict");
    diagnosis_free(d);
    return status;
}

static int run_diagnose(const struct cli_args *args, struct rf_error *err) {
    bool json = cli_has(args, "json");
    int status = RF_OK;
    if (!args->operand_count)
        return rf_fail(err, RF_CANNOT,
                       "what to diagnose is missing: give the PID of a process that hangs, or its core file");
    for (int i = 0; i < args->operand_count; i++) {
        if (args->operand_count > 1 && !json)
            print_clean(stdout, "%s%s:\n", i ? "\n" : "", args->operands[i]);
        int one = diagnose_one(args->operands[i], json, err);
        if (one < 0) return -1;
        if (one != RF_OK) status = one;
    }
    return status;
}

static const struct cli_option diagnose_options[] = {
    {"json", 0, NULL, "for machines: one JSON document per PID or CORE (docs/json.md)"},
    {0},
};

static const char *const diagnose_examples[] = {
    "refork diagnose 4711                             # a process that hangs now",
    "refork diagnose $(pidof server)                  # all of them",
    "refork diagnose core.4711                        # what it left",
    NULL,
};

const struct cli_command command_diagnose = {
    .name = "diagnose",
    .operands = "PID|CORE...",
    .summary = "Look at a process that hangs now, or at its core file",
    .details =
        "Says what memory alone tells: what is stuck, on which lock, whose it is. The process is stopped\n"
        "for milliseconds and then goes on unchanged. Its descendants, and ancestors of the same program\n"
        "that wait for it, are looked at too. Who took the lock, where, and which fork left it behind is\n"
        "only in a recording (refork record).\n"
        "Exit status: 120 a deadlock was found, 0 nothing is stuck for certain, 122 unreadable core,\n"
        "125 refork itself failed (no such process, not permitted).\n",
    .examples = diagnose_examples,
    .options = diagnose_options,
    .run = run_diagnose,
};

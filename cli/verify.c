#include "cli/files.h"
#include "cli/options.h"
#include "core/path.h"
#include "search/interrupt.h"
#include "search/verify.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS = 3, TIMEOUT_S = 60 };

static int read_output(const struct cli_args *args, char *path, size_t size, struct rf_error *err) {
    const char *given = cli_value(args, "output");
    if (!given) return cli_new_trace(args->operands[1], path, size, err);
    snprintf(path, size, "%s", given);
    if (!same_path(path, args->operands[0])) return 0;
    return rf_fail(err, RF_CANNOT, "'%s' is the recording to be verified: name another file with -o", path);
}

static int run(const struct cli_args *args, struct rf_error *err) {
    uint64_t runs = RUNS, seconds = TIMEOUT_S, cpus = 0;
    enum cpu_level cpu = CPU_BEST;
    char path[4096];
    if (args->operand_count < 2)
        return rf_fail(err, RF_CANNOT,
                       "no program given: usage: refork verify [OPTION...] FILE -- PROGRAM [ARG...]");
    if (!args->operands[1][0]) return rf_fail(err, RF_CANNOT, "empty program name ''");
    if (cli_number(args, "runs", 1, 1000, &runs, err) < 0 ||
        cli_number(args, "timeout", 1, 86400, &seconds, err) < 0 ||
        cli_number(args, "cpus", 1, CPUS_MOST, &cpus, err) < 0 || cli_cpu(args, &cpu, err) < 0 ||
        read_output(args, path, sizeof path, err) < 0)
        return -1;
    const struct verify_options o = {
        .input = args->operands[0],
        .argv = args->operands + 1,
        .output = path,
        .keep = cli_has(args, "output"),
        .gone_is_fixed = cli_has(args, "gone-is-fixed"),
        .runs = runs,
        .timeout_ms = seconds * 1000,
        .cpus = cpus,
        .cpu = cpu,
    };
    interrupt_begin(INTERRUPT_ALL);
    int status = verify(&o, stdout, err);
    interrupt_end(INTERRUPT_ALL);
    return status;
}

static int run_verify(const struct cli_args *args, struct rf_error *err) {
    int status = run(args, err);
    // `git bisect run` takes any other status below 128 for a bad commit: one that cannot be built, say, is to be skipped.
    if (status < 0) err->status = RF_CANNOT;
    return status;
}

static const struct cli_option verify_options[] = {
    {"runs", 0, "N", "force the situation N times (3)"},
    {"timeout", 0, "S", "end each run after S seconds (60)"},
    CLI_CPUS,
    CLI_CPU,
    {"output", 'o', "FILE", "keep the last run's recording in FILE (else one that hangs: PROGRAM.refork)"},
    {"gone-is-fixed", 0, NULL, "exit with 0 when the lock's site or the fork is not in the program any more"},
    {0},
};

static const char *const verify_examples[] = {
    "refork verify bug.refork -- ./server             # does this build still hang?",
    "git bisect run refork verify bug.refork -- ./server",
    NULL,
};

const struct cli_command command_verify = {
    .name = "verify",
    .operands = "FILE -- PROGRAM [ARG...]",
    .summary = "Force a recorded deadlock's situation on another build: fixed or not",
    .details =
        "The lock is taken by the same function and line, and held over the same fork; both are found by\n"
        "symbol and source line. PROGRAM's input is empty, its output dropped.\n\n"
        "Exit status, as 'git bisect run' wants it: 0 the situation was forced and the child went on;\n"
        "120 it still hangs (the recording is kept), or in another deadlock; 125 the situation could\n"
        "not be reached, or refork failed: the reason is told.\n",
    .examples = verify_examples,
    .options = verify_options,
    .run = run_verify,
};

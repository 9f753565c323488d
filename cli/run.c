#include "cli/ends.h"
#include "cli/fail_on.h"
#include "cli/options.h"
#include "search/harness.h"
#include "search/interrupt.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVERY_MS = 1000, RUNS = 40 };

static int check_folder(const char *folder, struct rf_error *err) {
    struct stat st;
    if (stat(folder, &st) || access(folder, W_OK))
        return rf_fail_errno(err, RF_CANNOT, "cannot write to the folder '%s'", folder);
    if (!S_ISDIR(st.st_mode))
        return rf_fail(err, RF_CANNOT, "'%s' is no folder: give one to '--output'", folder);
    return 0;
}

static void tell(const struct harness_end *end) {
    if (!end->hung) return;
    fprintf(stderr, "refork: %u test%s hung, %u %s recorded\n", end->hung, end->hung == 1 ? "" : "s",
            end->recorded, end->recorded == 1 ? "is" : "are");
}

static int run_run(const struct cli_args *args, struct rf_error *err) {
    const char *folder = cli_value(args, "output");
    struct harness_end end;
    struct harness_options o = {
        .argv = args->operands, .folder = folder ? folder : ".", .every_ms = EVERY_MS, .runs = RUNS};
    if (!args->operand_count)
        return rf_fail(err, RF_CANNOT,
                       "no command given: usage: refork run [OPTION...] [--] COMMAND [ARG...]");
    if (cli_duration(args, "every", &o.every_ms, err) || cli_duration(args, "timeout", &o.timeout_ms, err) ||
        cli_number(args, "runs", 0, UINT32_MAX, &o.runs, err) || cli_fail_on(args, &o.fail_on, err) ||
        check_folder(o.folder, err))
        return -1;
    interrupt_begin(INTERRUPT_ALL);
    int failed = harness_run(&o, &end, err);
    interrupt_end(INTERRUPT_ALL);
    if (failed) return -1;
    tell(&end);
    if (end.hung) return RF_DEADLOCK;
    cli_end_like(end.signaled, end.value);
}

static const struct cli_option run_options[] = {
    {"output", 'o', "FOLDER",
     "write what is found there: NAME-PID-START.txt, .json, NAME-PID.refork (default: .)"},
    {"timeout", 0, "TIME", "end a test that runs for longer, and record it: 90, 5m (default: no limit)"},
    {"every", 0, "TIME", "look for what hangs so often (default: 1 s)"},
    {"runs", 0, "N", "run what hung N times at most, to record it (40; 0: do not)"},
    CLI_FAIL_ON,
    {0},
};

static const char *const run_examples[] = {
    "refork run -- make check                         # tests at full speed; what hangs is recorded",
    "refork run --timeout 5m -o build/hung -- ctest -j8",
    NULL,
};

const struct cli_command command_run = {
    .name = "run",
    .operands = "[--] COMMAND [ARG...]",
    .summary = "Run tests as they are, and record the one that hangs",
    .details =
        "The command runs unrecorded, at full speed. A test below it that hangs after a fork is told from "
        "its\n"
        "memory as 'refork watch' does, and is ended, so that the command goes on and sees a failure. When\n"
        "the command has ended, the test alone is run again by 'refork hunt', to get a recording.\n"
        "A harness that runs tests in its own process can write the command line of the present test, each\n"
        "word with a NUL behind it, to the file $REFORK_RUN/PID (docs/ci/README.md).\n"
        "Exit status: 120 a test hung, else the command's own.\n",
    .examples = run_examples,
    .options = run_options,
    .program_follows = true,
    .run = run_run,
};

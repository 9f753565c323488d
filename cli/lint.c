#include "cli/files.h"
#include "cli/options.h"
#include "replayer/lint/lint.h"
#include "replayer/report/lint.h"
#include "search/progress.h"

static int lint_timeline(const struct cli_args *args, struct timeline *t, uint64_t status,
                         struct rf_error *err) {
    struct lint *lint;
    struct progress progress;
    progress_begin(&progress, t);
    int failed = lint_run(t, &lint, err);
    progress_end(&progress, t);
    if (failed) return -1;
    int r = RF_OK;
    if (!cli_has(args, "json"))
        report_lint_text(stdout, lint, timeline_source_line, t);
    else if (report_lint_json(stdout, lint))
        r = rf_fail_errno(err, RF_CANNOT, "could not write the calls");
    bool found = lint->count && lint->calls[0].level < LINT_NOTE;
    lint_free(lint);
    return r < 0 ? -1 : found ? (int)status : RF_OK;
}

static int run_lint(const struct cli_args *args, struct rf_error *err) {
    char path[4096];
    uint64_t status = 0;
    bool no_probes;
    if (cli_at_most(args, 1, err) || cli_probes(args, &no_probes, err) ||
        cli_number(args, "error-exitcode", 1, 255, &status, err) || cli_trace(args, path, sizeof path, err))
        return -1;
    struct timeline *t;
    if (timeline_open(path, &t, err)) return -1;
    if (no_probes) timeline_without_probes(t);
    int r = lint_timeline(args, t, status, err);
    timeline_close(t);
    if (r >= 0 && cli_check_file(path, err)) return -1;
    return r;
}

static const struct cli_option lint_options[] = {
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {"error-exitcode", 0, "N", "end with N when there is an error or a warning (0)"},
    CLI_PROBES,
    {0},
};

static const char *const lint_examples[] = {
    "refork lint server.refork                        # unsafe calls in forked children",
    NULL,
};

const struct cli_command command_lint = {
    .name = "lint",
    .operands = "[FILE]",
    .summary = "Find calls in forked children that are not async-signal-safe",
    .details = "A child of a threaded process may call only async-signal-safe functions until it executes\n"
               "a program or ends with _exit: all others may wait for a lock that a thread of its parent\n"
               "held. Each call site is shown once: an error when it took a lock, a warning when it took\n"
               "none this time, a note when POSIX forbids it but fork() makes its locks free in the child\n"
               "(malloc's and stdio's of glibc, and those that fork handlers release).\n\n"
               "Exit status: 0, also when something was found (--error-exitcode changes that); 121 the\n"
               "replay diverged, 122 unreadable trace, 125 refork itself failed.\n",
    .examples = lint_examples,
    .options = lint_options,
    .run = run_lint,
};

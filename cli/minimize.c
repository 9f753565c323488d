#include "cli/ends.h"
#include "cli/files.h"
#include "cli/options.h"
#include "core/clock.h"
#include "core/path.h"
#include "core/printable.h"
#include "search/interrupt.h"
#include "search/minimize/minimize.h"
#include "search/minimize/minimize_report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 300, TIMEOUT_S = 30 };

// FILE-min.refork beside FILE, or FILE-min-2.refork and so on.
static int name_output(const struct cli_args *args, struct minimize *m, struct rf_error *err) {
    const char *given = cli_value(args, "output"), *name = given ? given : m->input;
    size_t len = stem_length(name);
    if (len > sizeof m->stem - 20) return rf_fail(err, RF_CANNOT, "the name '%.100s...' is too long", name);
    for (int i = 1; !given && i < 100000; i++) {
        char number[20] = "";
        if (i > 1) snprintf(number, sizeof number, "-%d", i);
        snprintf(m->stem, sizeof m->stem, "%.*s-min%s", (int)len, name, number);
        snprintf(m->output, sizeof m->output, "%s.refork", m->stem);
        if (access(m->output, F_OK) < 0) return 0;
    }
    if (!given) return rf_fail(err, RF_CANNOT, "too many files '%s-min...': name one with -o", name);
    snprintf(m->stem, sizeof m->stem, "%.*s", (int)len, name);
    snprintf(m->output, sizeof m->output, "%s", name);
    if (same_path(m->output, m->input))
        return rf_fail(err, RF_CANNOT, "'%s' is the recording to be minimized: name another file with -o",
                       m->output);
    return 0;
}

static int read_options(const struct cli_args *args, struct minimize *m, struct rf_error *err) {
    uint64_t seconds = TIMEOUT_S;
    m->runs_max = RUNS;
    if (args->operand_count < 1 || !args->operands[0][0])
        return rf_fail(err, RF_CANNOT,
                       "no recording given: usage: refork minimize [OPTION...] FILE [-- PROGRAM [ARG...]]");
    m->input = args->operands[0];
    if (args->operand_count > 1) m->argv = args->operands + 1;
    if (m->argv && !m->argv[0][0]) return rf_fail(err, RF_CANNOT, "empty program name ''");
    if (cli_number(args, "runs", 1, UINT32_MAX, &m->runs_max, err) < 0 ||
        cli_number(args, "timeout", 1, 86400, &seconds, err) < 0 ||
        cli_number(args, "cpus", 1, CPUS_MOST, &m->cpus, err) < 0 || cli_cpu(args, &m->cpu, err) < 0)
        return -1;
    m->timeout_ms = seconds * 1000;
    return name_output(args, m, err);
}

static int report(const struct cli_args *args, const struct minimize *m, struct rf_error *err) {
    if (!cli_has(args, "json"))
        minimize_report_text(stdout, m);
    else if (minimize_report_json(stdout, m))
        return rf_fail_errno(err, RF_CANNOT, "could not write the result");
    return RF_DEADLOCK;
}

static int no_deadlock(const struct cli_args *args, const struct minimize *m) {
    if (cli_has(args, "json"))
        puts("{\"deadlock\": false}");
    else
        print_clean(stdout, "There is no deadlock in '%s': nothing to minimize.\n", m->input);
    return RF_OK;
}

static int run(const struct cli_args *args, struct minimize *m, struct rf_error *err) {
    if (read_options(args, m, err) < 0) return -1;
    int found = minimize_read(m, err);
    if (found < 0 || cli_check_file(m->input, err) < 0) return -1;
    if (!found) return no_deadlock(args, m);
    interrupt_begin(INTERRUPT_ALL);
    int made = minimize_search(m, err), signal = interrupted();
    interrupt_end(INTERRUPT_ALL);
    if (!made) {
        minimize_release(m);
        cli_end_like(true, signal);
    }
    if (made > 0) return report(args, m, err);
    // What the program's name or its file is worth: here it is always the recording's program that is gone.
    if (err->status == RF_NOT_FOUND || err->status == RF_NOT_EXECUTABLE) err->status = RF_CANNOT;
    return -1;
}

static int run_minimize(const struct cli_args *args, struct rf_error *err) {
    struct minimize *m = calloc(1, sizeof *m);
    rf_assert(m);
    m->terminal = isatty(STDERR_FILENO);
    m->begin_us = clock_us(CLOCK_MONOTONIC);
    int status = run(args, m, err);
    minimize_release(m);
    free(m);
    return status;
}

static const struct cli_option minimize_options[] = {
    {"output", 'o', "FILE", "write the minimal recording to FILE (default: FILE-min.refork)"},
    {"runs", 0, "N", "run the program N times at most (300)"},
    {"timeout", 0, "S", "end each run after S seconds (30); it does not count as hanging"},
    CLI_CPUS,
    CLI_CPU,
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {0},
};

static const char *const minimize_examples[] = {
    "refork minimize bug.refork                       # the fewest switches that still deadlock",
    "refork minimize -o small.refork bug.refork -- ./server --port 0",
    NULL,
};

const struct cli_command command_minimize = {
    .name = "minimize",
    .operands = "FILE [-- PROGRAM [ARG...]]",
    .summary = "Find the fewest switches between tasks that still deadlock, and the two that decide",
    .details =
        "The recorded program is run again in the recorded order of its tasks, then with ever fewer of\n"
        "the switches. Then the order of two adjacent steps is looked for that decides: one way it\n"
        "hangs, the other way it does not. Both runs are kept. The program's input is empty, its output\n"
        "dropped; its arguments and environment are the recorded ones unless PROGRAM is given.\n\n"
        "Exit status: 120 a minimal deadlock was made, 0 there is no deadlock in FILE; 122 unreadable\n"
        "trace, 125 the program could not be brought to hang again, or refork failed.\n",
    .examples = minimize_examples,
    .options = minimize_options,
    .run = run_minimize,
};

#include "cli/ends.h"
#include "cli/fail_on.h"
#include "cli/next.h"
#include "cli/files.h"
#include "cli/options.h"
#include "core/clock.h"
#include "search/hunt.h"
#include "search/hunt_report.h"
#include "search/interrupt.h"
#include "search/shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { RUNS = 40, TIMEOUT_S = 30 };

static int read_strategy(const struct cli_args *args, enum search *out, struct rf_error *err) {
    const char *name = cli_value(args, "strategy");
    if (!name || (hunt_strategy_find(name, out) && *out != SEARCH_ALL)) return 0;
    return rf_fail(err, RF_CANNOT, "bad value '%s' of '--strategy': give directed, pct, random or delay",
                   name);
}

static int read_times(const struct cli_args *args, struct hunter *x, struct rf_error *err) {
    uint64_t ms = 0;
    bool limited = cli_has(args, "for");
    x->runs_max = limited ? UINT64_MAX : RUNS;
    x->timeout_ms = TIMEOUT_S * 1000;
    if (cli_number(args, "runs", 1, UINT32_MAX, &x->runs_max, err) || cli_duration(args, "for", &ms, err))
        return -1;
    if (limited) x->until_us = clock_us(CLOCK_MONOTONIC) + ms * 1000;
    if (cli_number(args, "cpus", 1, CPUS_MOST, &x->cpus, err) || cli_cpu(args, &x->cpu, err)) return -1;
    return cli_duration(args, "timeout", &x->timeout_ms, err);
}

static int read_seed(const struct cli_args *args, uint64_t *out, struct rf_error *err) {
    uint32_t seed = 0;
    if (cli_has(args, "seed")) return cli_number(args, "seed", 0, UINT64_MAX, out, err);
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return rf_fail_errno(err, RF_CANNOT, "no random seed: give one with --seed N");
    *out = seed;
    return 0;
}

static int read_options(const struct cli_args *args, struct hunter *x, struct rf_error *err) {
    x->terminal = isatty(STDERR_FILENO);
    x->keep_going = cli_has(args, "keep-going");
    x->before = cli_value(args, "before");
    x->after = cli_value(args, "after");
    x->given.runs = cli_has(args, "runs");
    x->given.seed = cli_has(args, "seed");
    x->given.search = cli_has(args, "strategy");
    x->h.input = cli_value(args, "input");
    if (x->h.input && access(x->h.input, R_OK) != 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", x->h.input);
    if (cli_has(args, "healthy") && healthy_parse(cli_value(args, "healthy"), "healthy", &x->healthy, err))
        return -1;
    x->h.judges_ends = x->healthy.given;
    if (cli_fail_on(args, &x->fail_on, err) || cli_probes(args, &x->no_probes, err)) return -1;
    return read_strategy(args, &x->search, err) || read_times(args, x, err) || read_seed(args, &x->seed, err)
               ? -1
               : 0;
}

// PROGRAM-hunt.refork, -2 and so on.
static int name_output(const struct cli_args *args, char *path, size_t size, struct rf_error *err) {
    const char *given = cli_value(args, "output");
    if (given) {
        if (snprintf(path, size, "%s", given) >= (int)size - 100)
            return rf_fail(err, RF_CANNOT, "the name '%.100s...' is too long", given);
        return 0;
    }
    char program[3800];
    if (snprintf(program, sizeof program, "%s-hunt", args->operands[0]) >= (int)sizeof program)
        return rf_fail(err, RF_CANNOT, "the name '%.100s...' is too long", args->operands[0]);
    return cli_new_trace(program, path, size, err);
}

static int read_shard(const struct cli_args *args, uint64_t *shard, uint64_t *shards, struct rf_error *err) {
    const char *text = cli_value(args, "shard");
    int used = 0;
    *shard = *shards = 1;
    if (!text) return 0;
    bool digits = strspn(text, "0123456789/") == strlen(text);
    if (!digits || sscanf(text, "%" SCNu64 "/%" SCNu64 "%n", shard, shards, &used) != 2 || text[used] ||
        !*shard || *shard > *shards || *shards > 100000)
        return rf_fail(err, RF_CANNOT,
                       "bad value '%s' of '--shard': give I/N, I from 1 to N (at most 100000)", text);
    return 0;
}

// Prints h, and writes the JUnit file: the exit status, or -1 with *err.
static int report(const struct cli_args *args, const struct hunt *h, struct rf_error *err) {
    const char *junit = cli_value(args, "junit");
    if (junit && hunt_report_junit(junit, h, err)) return -1;
    if (!cli_has(args, "json"))
        hunt_report_text(stdout, h);
    else if (hunt_report_json(stdout, h))
        return rf_fail_errno(err, RF_CANNOT, "could not write the result");
    char why[400];
    if (hunt_had_nothing(h, why, sizeof why)) return RF_NOT_HUNTED;
    if (!cli_has(args, "json") && h->found_count)
        cli_next_deadlock(h->found[0].trace, args->operand_count ? args->operands : NULL);
    else if (!cli_has(args, "json") && args->operand_count && !interrupted())
        cli_next_hunt(args->operands, true);
    return h->found_count ? RF_DEADLOCK : RF_OK;
}

// In one process, from the first run to the report.
static int hunt_alone(const struct cli_args *args, struct hunter *x, struct rf_error *err) {
    char output[4096];
    if (name_output(args, output, sizeof output, err) < 0) return -1;
    x->h.output = output;
    return hunt_run(x, err) < 0 ? -1 : report(args, &x->h, err);
}

// Without a program only what is known is told.
static int hunt_shared(const struct cli_args *args, struct hunter *x, struct rf_error *err) {
    uint64_t shard, shards;
    const char *folder = cli_value(args, "state");
    if (!folder) return rf_fail(err, RF_CANNOT, "--shard needs --state DIR: where the shards meet");
    if (cli_has(args, "output"))
        return rf_fail(err, RF_CANNOT, "--output goes without --state: what is found is kept in '%s'",
                       folder);
    if (read_shard(args, &shard, &shards, err) < 0) return -1;
    bool ask = !args->operand_count;
    if (ask && cli_has(args, "shard")) return rf_fail(err, RF_CANNOT, "no program given: a shard runs one");
    struct sharing *s = sharing_new(x, folder, shard, shards);
    int known = ask ? sharing_read(s, err) : sharing_run(s, err), status = known;
    if (known > 0 || (ask && !known)) status = report(args, &x->h, err);
    if (ask && (status == RF_OK || status == RF_NOT_HUNTED) && !x->h.shared->complete) {
        fflush(stdout);
        status = rf_fail(err, RF_CANNOT,
                         "the hunt in '%s' is not complete: start those of its shards again that did not end",
                         folder);
    }
    sharing_free(s);
    return status;
}

static int run_hunt(const struct cli_args *args, struct rf_error *err) {
    bool shared = cli_has(args, "shard") || cli_has(args, "state");
    if (args->operand_count == 0 && !shared)
        return rf_fail(err, RF_CANNOT,
                       "no program given: usage: refork hunt [OPTION...] [--] PROGRAM [ARG...]");
    if (args->operand_count && !args->operands[0][0])
        return rf_fail(err, RF_NOT_FOUND, "empty program name ''");
    struct hunter *x = calloc(1, sizeof *x);
    rf_assert(x);
    x->h.argv = args->operands;
    x->h.begin_us = clock_us(CLOCK_MONOTONIC);
    int status = read_options(args, x, err), signal = 0;
    if (!status) {
        interrupt_begin(INTERRUPT_ALL);
        status = shared ? hunt_shared(args, x, err) : hunt_alone(args, x, err);
        signal = interrupted();
        interrupt_end(INTERRUPT_ALL);
    }
    hunter_release(x);
    free(x);
    if (signal && status >= 0 && status != RF_DEADLOCK) cli_end_like(true, signal);
    return status;
}

static const struct cli_option hunt_options[] = {
    {"output", 'o', "FILE", "write the recording of the deadlock to FILE (default: PROGRAM-hunt.refork)"},
    {"runs", 0, "N", "run the program N times at most (40; with --for: as often as there is time)"},
    {"for", 0, "TIME", "stop after TIME: seconds, or 30m, or 2h"},
    {"timeout", 0, "TIME", "end a run after TIME (30 s); a server is looked at for so long"},
    CLI_CPUS,
    CLI_CPU,
    {"strategy", 0, "directed|pct|random|delay", "only this strategy (directed: the fork gate)"},
    {"seed", 0, "N", "of pct, random and delay; the next run has N+1"},
    {"state", 0, "DIR", "keep each run's result in DIR and go on from there; without PROGRAM: report on it"},
    {"shard", 0, "I/N", "with --state: make the I-th of N shares of the runs (docs/hunt.md)"},
    CLI_FAIL_ON,
    {"keep-going", 0, NULL, "look for all distinct deadlocks, not only the first"},
    {"input", 0, "FILE", "the program reads FILE as its standard input, in each run"},
    {"healthy", 0, "LIST", "report runs that end otherwise: exit statuses and signals, as 0,3,10-12,SIGTERM"},
    {"before", 0, "COMMAND", "run COMMAND by the shell before each run"},
    {"after", 0, "COMMAND", "run COMMAND by the shell after each run"},
    CLI_PROBES,
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {"junit", 0, "FILE", "write the candidates and what became of them to FILE, as JUnit XML"},
    {0},
};

static const char *const hunt_examples[] = {
    "refork hunt -- ./server                          # force each fork while a lock is held",
    "refork hunt --for 30m --keep-going -- ./test     # all deadlocks that half an hour finds",
    "refork hunt --junit hunt.xml -- ./test           # for CI",
    NULL,
};

const struct cli_command command_hunt = {
    .name = "hunt",
    .operands = "[--] PROGRAM [ARG...]",
    .summary = "Make a rare fork deadlock happen, in a handful of runs",
    .details =
        "The program is run, its locks and forks are read off the recording, and then each fork is made\n"
        "while another thread holds a lock that the child may take. The first run that hangs is kept\n"
        "and explained. The program's input is empty (--input), its output is dropped.\n\n"
        "Exit status: 120 a deadlock was found, 0 none; 123 nothing was hunted: the program never forked\n"
        "with a second thread alive, failed at once, or was ended by its time limit in each run; 125 refork "
        "itself failed, 126 and 127 PROGRAM\n"
        "could not be run.\n",
    .examples = hunt_examples,
    .options = hunt_options,
    .program_follows = true,
    .run = run_hunt,
};

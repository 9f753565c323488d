#include "cli/ends.h"
#include "cli/fail_on.h"
#include "cli/next.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/rr.h"
#include "cli/strip.h"
#include "core/printable.h"
#include "search/name_pc.h"
#include "search/owner_look.h"
#include "search/second_look.h"
#include "search/progress.h"
#include "search/run_once.h"
#include "recorder/record/record.h"
#include "recorder/plan/schedule.h"
#include "replayer/report/stored.h"
#include "replayer/report/text.h"
#include "replayer/session/sources.h"
#include "replayer/session/session.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static void say_saved(const char *path, const struct record_result *result) {
    struct stat st;
    if (!isatty(STDERR_FILENO) || stat(path, &st)) return;
    print_clean(stderr, "refork: saved '%s': %" PRIu64 " events, %.1f KiB\n", path, result->events,
                (double)st.st_size / 1024);
}

// Whether the verdict is printed.
enum told { TOLD_NOTHING, TOLD_FINDINGS, TOLD_ALL };

// The verdict, on stderr; the sources that it quotes go into the recording, for other machines. An exit status, or -1.
static int explain(const char *path, enum told told, enum verdict_level fail_on, bool no_probes,
                   struct rf_error *err) {
    struct session *s;
    const struct verdict *v = NULL;
    if (session_open(path, &s, err)) return -1;
    struct timeline *t = session_timeline(s);
    if (no_probes) timeline_without_probes(t);
    struct progress progress;
    progress_begin(&progress, t);
    int status = session_verdict(s, &v, err);
    progress_end(&progress, t);
    bool any = v && (v->count || v->deadlock);
    if (status == 0 && (told == TOLD_ALL || (told == TOLD_FINDINGS && any)))
        report_text(stderr, v, timeline_source_line, t);
    if (status == 0 && v->count) status = sources_attach(path, v, err);
    if (status == 0) status = stored_attach(path, v, timeline_source_line, t, err);
    if (status == 0) status = cli_verdict_status(v, fail_on);
    session_close(s);
    return status;
}

static int read_chaos(const struct cli_args *args, struct record_options *o, struct rf_error *err) {
    uint32_t seed;
    o->chaos = cli_has(args, "chaos") || cli_has(args, "seed");
    if (cli_has(args, "seed")) return cli_number(args, "seed", 0, UINT64_MAX, &o->seed, err);
    if (!o->chaos) return 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return rf_fail_errno(err, RF_CANNOT, "no random seed for '--chaos': give one with --seed N");
    o->seed = seed;
    return 0;
}

static int read_schedule(const struct cli_args *args, struct record_options *o, struct schedule *schedule,
                         struct rf_error *err) {
    const char *path = cli_value(args, "schedule");
    if (!path) return 0;
    if (schedule_read(path, schedule, err) < 0) return -1;
    o->schedule = schedule;
    if (!o->chaos || !schedule->strategy) return 0;
    return rf_fail(err, RF_CANNOT,
                   "the schedule '%s' has a strategy of its own: leave '--chaos' and '--seed' out", path);
}

// `path` takes the name when none is given.
static int read_options(const struct cli_args *args, struct record_options *o, char *path, size_t size,
                        struct rf_error *err) {
    if (args->operand_count == 0)
        return rf_fail(err, RF_CANNOT,
                       "no program given: usage: refork record [OPTION...] [--] PROGRAM [ARG...]");
    bool no_probes = false;
    if (cli_probes(args, &no_probes, err) < 0) return -1;
    if (!args->operands[0][0]) return rf_fail(err, RF_NOT_FOUND, "empty program name ''");
    *o = (struct record_options){
        .argv = args->operands,
        .aslr = cli_has(args, "aslr"),
        .no_probes = no_probes,
        .keep_going = cli_has(args, "keep-going"),
        // A schedule says what happens to the end.
        .let_go = !cli_has(args, "wait") && !cli_has(args, "schedule") && !cli_has(args, "save-schedule"),
        .output = cli_value(args, "output"),
        .name_pc = name_pc,
        .released = owner_look,
        .second_look = second_look_start,
    };
    if (!o->output && cli_new_trace(args->operands[0], path, size, err)) return -1;
    if (!o->output) o->output = path;
    if (cli_has(args, "paranoid")) {
        uint64_t every = 1000;
        if (cli_number(args, "paranoid", 1, UINT32_MAX, &every, err)) return -1;
        o->paranoid_every = (uint32_t)every;
    }
    uint64_t cpus = 0;
    if (cli_number(args, "cpus", 1, CPUS_MOST, &cpus, err) ||
        cli_duration(args, "timeout", &o->timeout_ms, err))
        return -1;
    o->cpus = (unsigned)cpus;
    return cli_cpu(args, &o->cpu, err) < 0 ? -1 : read_chaos(args, o, err);
}

static int record(const struct cli_args *args, struct record_options *o, struct record_result *result,
                  struct rf_error *err) {
    struct schedule schedule = {0}, saved = {0};
    int r = read_schedule(args, o, &schedule, err);
    if (r == 0) r = cli_log(args, &o->log, err);
    if (r == 0) {
        if (cli_has(args, "save-schedule")) o->saved = &saved;
        if (o->chaos)
            fprintf(stderr, "refork: chaos with seed %" PRIu64 " ('--seed %" PRIu64 "' repeats it)\n",
                    o->seed, o->seed);
        r = record_run(o, result, err);
    }
    if (!r && o->saved) r = run_once_save_schedule(cli_value(args, "save-schedule"), &schedule, &saved, err);
    schedule_release(&schedule);
    schedule_release(&saved);
    if (o->log && o->log != stderr) fclose(o->log);
    return r;
}

// Takes the values of the environment out of the recording, but for those that its replay needs.
static int without_environment(const char *path, struct rf_error *err) {
    struct stripped s;
    char part[4200];
    snprintf(part, sizeof part, "%s.part", path);
    int failed = strip_copy(path, part, false, &s, err);
    if (!failed && rename(part, path)) failed = rf_fail_errno(err, RF_CANNOT, "could not rename '%s'", part);
    if (!failed) cli_say_environment(stderr, &s);
    stripped_release(&s);
    return failed;
}

static int run_record(const struct cli_args *args, struct rf_error *err) {
    struct record_options options;
    struct record_result result = {0};
    enum verdict_level fail_on;
    char path[4096];
    int by_rr = cli_rr_record(args, err);
    if (by_rr != CLI_OWN_ENGINE) return by_rr;
    if (cli_fail_on(args, &fail_on, err) || read_options(args, &options, path, sizeof path, err)) return -1;
    int r = record(args, &options, &result, err);
    if (result.gate.verdict)
        print_clean(stderr, "refork: fork gate: %s: %s\n", gate_verdict_name(result.gate.verdict),
                    result.gate.reason);
    if (r) {
        if (!result.started && options.output == path)
            unlink(path); // an empty recording is of no use to anybody
        if (result.started && isatty(STDERR_FILENO))
            print_clean(stderr, "refork: what was recorded until then is in '%s'\n", options.output);
        return -1;
    }
    say_saved(options.output, &result);
    if (cli_has(args, "no-env") && without_environment(options.output, err)) {
        print_clean(stderr, "refork: the environment is still in '%s': %s\n", options.output, err->text);
        err->status = 0;
    }
    bool asked = cli_has(args, "fail-on"), silent = cli_has(args, "no-explain");
    // What the recorder did not see to wait for ever may be seen from the whole.
    bool look = asked || (!silent && record_may_hang(&result));
    if (!result.stuck && !look) {
        if (!silent && result.threaded_fork) cli_next_hunt(options.argv, false);
        cli_end_like(result.signaled, result.status);
    }

    if (result.stuck)
        print_clean(stderr,
                    "refork: task %d of process %d waits for ever (%s)%s%s; the recording is in '%s'\n",
                    result.stuck_tid, result.stuck_pid, result.proved ? "proved" : "likely",
                    *result.stuck_for ? " for " : "", result.stuck_for, options.output);
    enum told told = silent ? TOLD_NOTHING : result.asked_to_end ? TOLD_ALL : TOLD_FINDINGS;
    int status =
        silent && !asked ? RF_DEADLOCK : explain(options.output, told, fail_on, options.no_probes, err);
    if (status < 0) {
        print_clean(stderr, "refork: the verdict is not complete: %s\n", err->text);
        err->status = 0;
        status = result.stuck ? RF_DEADLOCK : RF_OK;
    }
    if (status == RF_DEADLOCK && !silent) cli_next_deadlock(options.output, options.argv);
    if (status == RF_OK && !result.stuck) cli_end_like(result.signaled, result.status);
    return status;
}

static const struct cli_option record_options[] = {
    {"output", 'o', "FILE", "write the recording to FILE (default: PROGRAM.refork, -2 and so on)"},
    {"engine", 0, "refork|rr|auto",
     "record with refork itself (default), with rr, or with rr where it works"},
    CLI_RR,
    {"chaos", 0, NULL, "switch tasks at random landmarks, library calls included"},
    {"seed", 0, "N", "chaos with this seed"},
    {"schedule", 0, "FILE", "which task runs when, and the fork gate, as FILE says"},
    {"save-schedule", 0, "FILE", "write the switches of tasks to FILE, for --schedule"},
    {"aslr", 0, NULL, "leave address randomisation on"},
    CLI_CPUS,
    CLI_CPU,
    {"timeout", 0, "TIME",
     "SIGTERM to the program after TIME (30, 2m, 1h), SIGKILL if it lives on; and the verdict"},
    {"wait", 0, NULL, "record what the program leaves behind, daemons for example, to its end, too"},
    {"keep-going", 0, NULL, "do not stop the program when a task waits for ever"},
    {"paranoid", 0, "[=N]", "store a digest of all memory every N events (1000)"},
    CLI_FAIL_ON,
    {"no-env", 0, NULL, "take the environment's values out, but for those that the replay needs"},
    {"no-explain", 0, NULL, "do not print the verdict when the program is stuck"},
    {"probes", 0, "on|off",
     "off: stop at each system call instead of letting the program make small ones by itself"},
    {"log", 0, "FILE", "write a line per stop to FILE ('-': stderr)"},
    {0},
};

static const char *const record_examples[] = {
    "refork record -- ./server --port 0               # run it; the recording is server.refork",
    "refork record --chaos -o bug.refork -- ./test    # switch threads at random places",
    "refork record --schedule bug.schedule -- ./test  # let the threads run as a hunt found it",
    NULL,
};

const struct cli_command command_record = {
    .name = "record",
    .operands = "[--] PROGRAM [ARG...]",
    .summary = "Run a program and save everything that replaying it needs, in one file",
    .details = "Input, output, terminal, signals and exit status are the program's own: refork ends by\n"
               "the signal that ended the program.\n\n"
               "Exit status: the program's; 120 it was stopped because a task waits for ever, or a\n"
               "child had waited so until a signal ended it (the verdict is on stderr; with --fail-on\n"
               "also any other verdict of that level, and 0 when it is less sure), 125 refork itself\n"
               "failed, 126 and 127 PROGRAM could not be run.\n",
    .examples = record_examples,
    .options = record_options,
    .program_follows = true,
    .run = run_record,
};

#include "tui/terminal/tui.h"
#include "cli/ends.h"
#include "core/printable.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/rr.h"
#include "core/clock.h"
#include "core/cpu/machine.h"
#include "replayer/engine/replay.h"
#include "tui/recording/pair_recording.h"
#include "tui/recording/rr_source.h"
#include "tui/recording/timeline_source.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STUCK_MAX 64

// How the recording ended, gathered on the way.
struct ending {
    bool end;
    bool killed;
    int status;
    struct {
        int tid;
        bool loops;
    } stuck[STUCK_MAX]; // tasks that wait for ever; what is still here at the end was stopped by the recorder
    size_t stuck_count;
};

static void add_stuck(struct ending *ending, const struct event *e) {
    if (ending->stuck_count == STUCK_MAX) return;
    const struct piece *wait = event_piece(e, PIECE_WAIT, NULL);
    uint64_t kind = wait ? wait->wait.kind : WAIT_OUTSIDE;
    ending->stuck[ending->stuck_count].tid = e->tid;
    ending->stuck[ending->stuck_count++].loops =
        kind == WAIT_TIMED || kind == WAIT_YIELD || kind == WAIT_SPIN;
}

// A task that sleeps has been woken when it does anything; one that loops goes on with that (--keep-going) until a
// signal comes.
static void forget_stuck(struct ending *ending, const struct event *e) {
    bool woken = e->kind == EV_DEATH || e->kind == EV_SIGNAL;
    for (size_t i = ending->stuck_count; i-- > 0;)
        if (ending->stuck[i].tid == e->tid && (woken || !ending->stuck[i].loops))
            ending->stuck[i] = ending->stuck[--ending->stuck_count];
}

static void observe(struct ending *ending, const struct event *e) {
    switch (e->kind) {
    case EV_STUCK:
        add_stuck(ending, e);
        break;
    case EV_END:
        ending->end = true;
        ending->killed = e->flags & EVF_KILLED;
        ending->status = (int)e->ret;
        break;
    default: // it was killed, or a signal woke it (--keep-going)
        if (ending->stuck_count) forget_stuck(ending, e);
    }
}

static bool same_file(int a, int b) {
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int finish_batch(const char *path, struct replay *replay, const struct ending *ending,
                        struct rf_error *err) {
    uint64_t offset, last = replay_position(replay);
    bool truncated = trace_truncated(replay_trace(replay), &offset);
    replay_close(replay);
    if (truncated)
        return rf_fail(err, RF_BAD_TRACE,
                       "'%s' is cut off at byte %" PRIu64 ": replayed up to event %" PRIu64
                       ", the last whole one",
                       path, offset, last);
    if (!ending->end)
        return rf_fail(err, RF_BAD_TRACE, "'%s' has no end: replayed up to event %" PRIu64, path, last);
    if (ending->stuck_count) return RF_DEADLOCK;
    cli_end_like(ending->killed, ending->status);
}

static int replay_batch(const struct cli_args *args, const char *path, struct rf_error *err) {
    // Output keeps its order where both go to one place; elsewhere it is worth a buffer.
    if (same_file(STDOUT_FILENO, STDERR_FILENO)) setvbuf(stdout, NULL, _IONBF, 0);
    struct replay_options options = {
        .echo_out = stdout,
        .echo_err = stderr,
        .paranoid = cli_has(args, "paranoid"),
    };
    if (cli_probes(args, &options.no_probes, err) || cli_log(args, &options.log, err)) return -1;
    struct replay *replay;
    if (replay_open(path, &options, &replay, err)) return -1;
    struct ending ending = {0};
    int r;
    bool trap = cpu_tsc_traps(); // makes every stop cheaper: recorder/engine.c says why
    if (trap) clock_trap_tsc(true);
    while ((r = replay_run(replay, UINT64_MAX, err)) > 0)
        observe(&ending, replay_event(replay));
    if (trap) clock_trap_tsc(false);
    if (options.log) fflush(options.log);
    if (r == 0) return finish_batch(path, replay, &ending, err);
    replay_close(replay);
    fflush(stdout); // what the program wrote comes before what refork says about it
    return -1;
}

static int check_start(const struct tui_source *source, const struct tui_options *options,
                       struct rf_error *err) {
    uint64_t last = source->last(source->context);
    if (options->start <= last) return 0;
    return rf_fail(err, RF_CANNOT, "no event %" PRIu64 ": the last one of '%s' is %" PRIu64, options->start,
                   options->recording, last);
}

static int tui_over(const struct tui_source *source, const struct tui_options *options,
                    struct rf_error *err) {
    return check_start(source, options, err) ? -1 : tui_run(source, options, err);
}

static int tui_rr(const struct cli_args *args, const char *path, const struct tui_options *options,
                  struct rf_error *err) {
    struct rr_trace t;
    int r = cli_rr_open(args, path, &t, err);
    if (r == 0) {
        struct rr_source *source = rr_source_new(&t, path);
        struct tui_options with_rr = *options;
        with_rr.rr = cli_value(args, "rr");
        with_rr.rr_options = cli_value(args, "rr-options");
        r = tui_over(rr_source_get(source), &with_rr, err);
        rr_source_free(source);
    }
    rr_trace_release(&t);
    return r;
}

static int tui_own(const char *path, const struct tui_options *options, struct rf_error *err) {
    struct timeline_source *source;
    if (timeline_source_new(NULL, path, &source, err)) return -1;
    timeline_source_check_first(source, cli_check_undamaged);
    int r = tui_over(timeline_source_get(source), options, err);
    timeline_source_free(source);
    return r;
}

struct marks_name {
    char path[4096 + 8];
};

static int read_tui_options(const struct cli_args *args, const char *path, struct marks_name *marks,
                            struct tui_options *out, struct rf_error *err) {
    snprintf(marks->path, sizeof marks->path, "%s.marks", path);
    *out = (struct tui_options){
        .script = cli_value(args, "script"),
        .size = cli_value(args, "size"),
        .ascii = cli_has(args, "ascii"),
        .no_colour = cli_has(args, "no-color"),
        .no_verdict = cli_has(args, "no-verdict"),
        .marks = marks->path,
        .recording = path,
    };
    return cli_number(args, "at", 1, UINT64_MAX, &out->start, err);
}

// The TUI reads a recording piece by piece, as the user moves: what is damaged further on is found behind the first paint (a
// gigabyte takes half a second), and ends it.
static int replay_tui(const struct cli_args *args, const char *path, struct rf_error *err) {
    struct tui_options options;
    struct marks_name marks;
    if (read_tui_options(args, path, &marks, &options, err)) return -1;
    return rr_is_trace(path) ? tui_rr(args, path, &options, err) : tui_own(path, &options, err);
}

static int tui_pair(struct timeline_source *const opened[2], struct tui_options options[2],
                    struct rf_error *err) {
    const char *const paths[2] = {options[0].recording, options[1].recording};
    const struct tui_source *const sources[2] = {timeline_source_get(opened[0]),
                                                 timeline_source_get(opened[1])};
    struct pair_recording *pair;
    if (check_start(sources[0], &options[0], err) || pair_recording_new(paths, &pair, err)) return -1;
    options[1].start = 0; // it follows the first one
    int r = tui_run_pair(sources, options, pair_recording_get(pair), err);
    pair_recording_free(pair);
    return r;
}

static int replay_pair(const struct cli_args *args, struct rf_error *err) {
    struct timeline_source *opened[2] = {NULL, NULL};
    struct tui_options options[2];
    struct marks_name marks[2];
    int r = 0;
    for (int i = 0; i < 2 && !r; i++) {
        const char *path = args->operands[i];
        if (rr_is_trace(path))
            return rf_fail(err, RF_CANNOT, "'%s' is a trace of rr; two recordings of refork are compared",
                           path);
        r = read_tui_options(args, path, &marks[i], &options[i], err);
    }
    for (int i = 0; i < 2 && !r; i++) {
        r = timeline_source_new(NULL, args->operands[i], &opened[i], err);
        if (!r) timeline_source_check_first(opened[i], cli_check_undamaged);
    }
    if (!r) r = tui_pair(opened, options, err);
    for (int i = 0; i < 2; i++)
        if (opened[i]) timeline_source_free(opened[i]);
    return r;
}

static int run_replay(const struct cli_args *args, struct rf_error *err) {
    char path[4096];
    if (cli_at_most(args, 2, err)) return -1;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    bool tui = !cli_has(args, "batch") && (terminal || cli_has(args, "script"));
    if (args->operand_count == 2) {
        if (tui) return replay_pair(args, err);
        return rf_fail(err, RF_CANNOT,
                       "two recordings are shown in the TUI, on a terminal; 'refork diff A B' compares them "
                       "as text");
    }
    if (cli_trace(args, path, sizeof path, err)) return -1;
    if (tui) return replay_tui(args, path, err);
    return rr_is_trace(path) ? cli_rr_batch(args, path, err) : replay_batch(args, path, err);
}

static const struct cli_option replay_options_table[] = {
    {"batch", 'b', NULL, "no TUI: replay to the end, echo what the program wrote"},
    {"paranoid", 0, NULL, "--batch: compare the memory digests of 'record --paranoid'"},
    {"probes", 0, "on|off", "--batch: off: stop at each call that could be answered in the process"},
    {"at", 0, "N", "TUI: begin at event N (default: where the verdict is)"},
    {"no-verdict", 0, NULL, "TUI: hide the verdict until v is pressed: for who wants to find it"},
    CLI_SCREEN("TUI: "),
    CLI_RR,
    {"log", 0, "FILE", "--batch: write a line per stop to FILE ('-': stderr)"},
    {0},
};

static const char *const replay_examples[] = {
    "refork replay                                    # the newest recording, in the TUI",
    "refork replay --at 108 server.refork             # ... at event 108",
    "refork replay bug.refork healthy.refork          # two side by side, stepped in step",
    "refork replay --batch server.refork              # run it again, with what it printed",
    NULL,
};

const struct cli_command command_replay = {
    .name = "replay",
    .operands = "[FILE [FILE]]",
    .summary = "Replay a recording exactly: in the TUI, or in one go with --batch",
    .details =
        "Two recordings of one program are shown side by side from 160 columns on, below that one at a\n"
        "time (Tab changes). They go in step, and d goes to where they differ, as 'refork diff' finds it.\n\n"
        "Without a terminal, --batch is meant.\n\n"
        "Exit status with --batch: the program's (refork ends by the signal that ended it); 120\n"
        "the recording ends in a deadlock, 121 the replay diverged (both sides are shown), 122\n"
        "unreadable trace, 125 refork itself failed. Of the TUI: 0.\n",
    .examples = replay_examples,
    .options = replay_options_table,
    .run = run_replay,
};

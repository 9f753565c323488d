#include "cli/files.h"
#include "cli/options.h"
#include "search/progress.h"
#include "replayer/locks/rows.h"
#include "replayer/report/locks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Events before and after a fork that --around looks at: what was taken earlier is still held by then only if it is
// waited for by everybody.
enum { BEFORE = 2000, AFTER = 200, FUNCTIONS_MAX = 1 << 20 };

// The `number`-th fork (0: the last one): its BIRTH.
static int find_fork(struct timeline *t, uint64_t number, uint64_t *event, struct rf_error *err) {
    uint64_t seen = 0, last = timeline_last(t);
    struct event e;
    *event = 0;
    for (uint64_t n = 1; n <= last && !(number && seen == number); n++) {
        if (timeline_event(t, n, &e, err) < 0) return -1;
        if (e.kind != EV_BIRTH || e.flags & EVF_VM) continue;
        seen++;
        *event = n;
    }
    if (!seen) return rf_fail(err, RF_CANNOT, "nothing forks in this recording");
    if (number > seen)
        return rf_fail(err, RF_CANNOT, "there is no fork %" PRIu64 ": the recording has %" PRIu64, number,
                       seen);
    return 0;
}

static int around(const struct cli_args *args, struct timeline *t, struct lock_history_options *o,
                  uint64_t *fork, struct rf_error *err) {
    const char *what = cli_value(args, "around");
    if (!what) return 0;
    char *end = NULL;
    uint64_t number = 0;
    bool good = !strncmp(what, "fork", 4);
    if (good && what[4] == '=') {
        errno = 0;
        number = strtoull(what + 5, &end, 10);
        good = !errno && end != what + 5 && !*end && number && what[5] != '-';
    } else {
        good = good && !what[4];
    }
    if (!good) return rf_fail(err, RF_CANNOT, "bad value '%s' of '--around': give fork, or fork=N", what);
    if (find_fork(t, number, fork, err) < 0) return -1;
    o->from = *fork > BEFORE ? *fork - BEFORE : 0;
    o->to = *fork + AFTER;
    return 0;
}

static int read_functions(const char *path, struct lock_functions *out, struct rf_error *err) {
    FILE *f = fopen(path, "re");
    if (!f) return rf_fail_errno(err, RF_CANNOT, "could not read '%s'", path);
    char *text = calloc(1, FUNCTIONS_MAX + 1);
    rf_assert(text);
    size_t len = fread(text, 1, FUNCTIONS_MAX, f);
    bool bad = ferror(f);
    fclose(f);
    int failed = bad                   ? rf_fail_errno(err, RF_CANNOT, "could not read '%s'", path)
                 : strlen(text) != len ? rf_fail(err, RF_CANNOT, "'%s' is no text", path)
                                       : lock_functions_parse(text, path, out, err);
    free(text);
    return failed;
}

static int show(const struct cli_args *args, const char *path, struct timeline *t,
                struct lock_history_options *o, struct lock_report_options *report, struct rf_error *err) {
    if (around(args, t, o, &report->at, err) < 0) return -1;
    if (report->at > timeline_last(t))
        return rf_fail(err, RF_CANNOT, "no event %" PRIu64 ": the last one of '%s' is %" PRIu64, report->at,
                       path, timeline_last(t));
    struct lock_history *h;
    if (lock_history_make(t, o, &h, err) < 0) return -1;
    const size_t known = h->strings_len;
    int failed = lock_rows_ask_first(t, h, o->functions, err);
    if (h->strings_len != known) lock_history_keep(t, h, o);
    if (!failed)
        failed = cli_has(args, "json") ? lock_report_json(stdout, t, h, report, err)
                                       : lock_report_text(stdout, t, h, report, err);
    lock_history_free(h);
    return failed;
}

static int run_locks(const struct cli_args *args, struct rf_error *err) {
    char path[4096];
    struct lock_report_options report = {
        .lock = cli_value(args, "lock"), .all = cli_has(args, "all"), .stacks = cli_has(args, "stacks")};
    const char *by = cli_value(args, "by"), *file = cli_value(args, "functions");
    bool no_probes;
    if (by && strcmp(by, "lock") != 0 && strcmp(by, "task") != 0)
        return rf_fail(err, RF_CANNOT, "bad value '%s' of '--by': give lock or task", by);
    if (cli_probes(args, &no_probes, err) < 0) return -1;
    report.by_task = by && !strcmp(by, "task");
    if (cli_number(args, "at", 1, UINT64_MAX, &report.at, err)) return -1;
    if (report.at && cli_value(args, "around"))
        return rf_fail(err, RF_CANNOT, "give --at or --around, not both");
    if (cli_at_most(args, 1, err) || cli_trace(args, path, sizeof path, err)) return -1;
    struct lock_functions functions = {0};
    struct timeline *t = NULL;
    struct lock_history_options o = {
        .trace_path = path, .no_cache = cli_has(args, "no-cache"), .no_probes = no_probes};
    int failed = file ? read_functions(file, &functions, err) : 0;
    if (file) o.functions = report.functions = &functions;
    if (!failed) failed = timeline_open(path, &t, err);
    if (!failed) {
        struct progress progress;
        progress_begin(&progress, t);
        failed = show(args, path, t, &o, &report, err);
        progress_end(&progress, t);
    }
    timeline_close(t);
    free(functions.v);
    return failed || cli_check_file(path, err) ? -1 : RF_OK;
}

static const struct cli_option locks_options[] = {
    {"by", 0, "lock|task", "lock (default): each lock, ranked; task: each task"},
    {"at", 0, "N", "who holds what right after event N"},
    {"around", 0, "fork[=N]", "only the events around the last (N-th) fork, and what is held at it"},
    {"lock", 0, "NAME", "each operation on the lock of that name or address, and where the heap has it from"},
    {"all", 0, NULL, "every lock, not only the first 20"},
    {"stacks", 0, NULL, "where each lock was taken that was then held longest"},
    {"functions", 0, "FILE", "functions that take and free locks of yours: 'acquire my_lock(arg1)'"},
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {"probes", 0, "on|off",
     "off: stop at each atomic instruction (15 us) instead of noting it in the process"},
    {"no-cache", 0, NULL, "neither use nor keep results (FILE.locks)"},
    {0},
};

static const char *const locks_examples[] = {
    "refork locks server.refork                       # who took which lock how often",
    "refork locks --lock log_mutex server.refork      # every operation on one lock",
    "refork locks --around fork server.refork         # what was held at the last fork",
    NULL,
};

const struct cli_command command_locks = {
    .name = "locks",
    .operands = "[FILE]",
    .summary = "Show every lock: who took it how often, how long, and who waited",
    .details =
        "The recording is re-executed; each atomic instruction notes in the process what it does (10 ns).\n"
        "It is checked as in a replay. The result is kept beside FILE.\n\n"
        "Exit status: 0; 121 the replay diverged, 122 unreadable trace, 125 refork itself failed.\n",
    .examples = locks_examples,
    .options = locks_options,
    .run = run_locks,
};

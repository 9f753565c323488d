// refork minimize: the recorded stints of the tasks are taken away bit by bit (ddmin: Zeller, Hildebrandt, TSE 2002) as
// long as the program still comes to the same deadlock. Without stints tasks run until they wait, in the order in
// which they were made.
#include "search/minimize.h"

#include "cli/cli.h"
#include "search/deadlock_key.h"
#include "core/clock.h"
#include "search/program_start.h"
#include "replayer/report/text.h"
#include "replayer/report/json.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 300, TIMEOUT_S = 30 };

// ---- the recording to be minimized

// 1 there is a deadlock, 0 there is none, -1.
static int read_deadlock(struct minimize *m, struct session *s) {
    const struct verdict *v;
    if (session_verdict(s, &v, m->err) < 0) return -1;
    const struct finding *cause = v->deadlock ? deadlock_cause(v) : NULL;
    if (!v->deadlock) return 0;
    if (!cause)
        return rf_fail(
            m->err, RF_CANNOT,
            "'%s' waits for a reason that is not known: that cannot be told apart from other waits",
            m->input);
    deadlock_key(cause, m->key, sizeof m->key);
    return 1;
}

static int read_recording(struct minimize *m, struct program_start *start, bool want_start) {
    struct session *s;
    if (session_open(m->input, &s, m->err) < 0) return -1;
    struct timeline *t = session_timeline(s);
    cli_progress_begin(t);
    int found = read_deadlock(m, s);
    if (found > 0 && stints_read(t, &m->recorded, &m->recorded_count, NULL, m->err) < 0) found = -1;
    if (found > 0 && want_start && program_start_read(t, start, m->err) < 0) found = -1;
    cli_progress_end(t);
    session_close(s);
    if (found >= 0 && cli_verify(m->input, m->err) < 0) return -1;
    return found;
}

// The recording knows no current folder: "./prog" may be another program here, or none.
static int choose_program(struct program_start *start, struct rf_error *err) {
    if (!start->path[0]) return 0;
    if (access(start->path, X_OK) < 0)
        return rf_fail_errno(err, RF_CANNOT,
                             "the recorded program '%s' cannot be run any more: name another one behind '--'",
                             start->path);
    if (start->argv[0][0] && !strchr(start->argv[0], '/')) return 0;
    char *a = realpath(start->argv[0], NULL), *b = realpath(start->path, NULL);
    bool same = a && b && !strcmp(a, b);
    free(a);
    free(b);
    if (same) return 0;
    free(start->argv[0]);
    start->argv[0] = strdup(start->path);
    rf_assert(start->argv[0]);
    return 0;
}

// ---- the first run that hangs

static void take_best(struct minimize *m, struct stint_list *list) {
    stint_list_release(&m->best);
    m->best = *list;
    *list = (struct stint_list){0};
}

static void forget_fewest(struct minimize *m) {
    if (m->fewest.trace[0]) {
        unlink(m->fewest.trace);
        unlink(m->fewest.schedule);
    }
    m->fewest = (struct kept_run){0};
}

// What is forced less may make tasks wait for each other more often: the run with the fewest switches is kept as well. `run`
// takes the place of m->minimal.
static int keep_fewest(struct minimize *m, const struct kept_run *run) {
    const struct kept_run *before = &m->minimal;
    if (m->fewest.trace[0] && run->switches <= m->fewest.switches) forget_fewest(m);
    if (m->fewest.trace[0] || !before->trace[0] || before->switches >= run->switches) return 0;
    struct kept_run few = *before;
    snprintf(few.trace, sizeof few.trace, "%s-fewest.refork", m->stem);
    snprintf(few.schedule, sizeof few.schedule, "%s.schedule", few.trace);
    if (rename(before->trace, few.trace) < 0 || rename(before->schedule, few.schedule) < 0)
        return rf_fail_errno(m->err, RF_CANNOT, "could not write '%s'", few.trace);
    m->fewest = few;
    return 0;
}

// Runs `list`, which becomes the best one if it hangs: an ending, or -1.
static int improve(struct minimize *m, struct stint_list *list) {
    int ending = minimize_try(m, list);
    if (ending != ENDING_HANGS) return ending;
    struct kept_run run = {0};
    if (minimize_read_stints(m, m->trace, NULL, &run) < 0 || keep_fewest(m, &run) < 0 ||
        minimize_keep(m, list, m->output, &run) < 0)
        return -1;
    m->minimal = run;
    take_best(m, list);
    return ending;
}

static const char *const endings[] = {
    [ENDING_UNKNOWN] = "it could not be run",
    [ENDING_OTHER] = "it hangs in another deadlock, or for a reason that is not known",
    [ENDING_LATE] = "the time of a run is over before anything is known (--timeout)",
    [ENDING_ENDS] = "it ends by itself",
};

// All stints that were recorded: an ending, or -1.
static int try_recorded(struct minimize *m) {
    int ending = ENDING_ENDS, first = ENDING_UNKNOWN;
    for (int i = 0; i < ROUNDINGS && ending > ENDING_HANGS; i++) {
        struct stint_list list = {0};
        for (size_t k = 0; k < m->recorded_count; k++)
            minimize_add_recorded(m, &list, &m->recorded[k], (enum rounding)i);
        minimize_progress(m, "as it was recorded, %zu stints", list.count);
        ending = improve(m, &list);
        if (i == 0) first = ending;
        stint_list_release(&list);
    }
    return ending > ENDING_HANGS ? first : ending;
}

// Without stints, then with all that were recorded: 0 it hangs, -1.
static int begin(struct minimize *m) {
    struct stint_list none = {0};
    int ending = improve(m, &none), first;
    if (ending > ENDING_HANGS) ending = try_recorded(m);
    first = ending;
    if (ending > ENDING_HANGS) {
        // stdio looks at a terminal or at /dev/null once more than at a file or a pipe: that makes other steps.
        m->to_file = true;
        m->known_count = 0;
        ending = try_recorded(m);
    }
    if (ending < 0) return -1;
    if (ending == ENDING_HANGS) return 0;
    if (m->stopped)
        return rf_fail(m->err, RF_CANNOT, "stopped before the program hung again: %s", m->stopped);
    return rf_fail(m->err, RF_CANNOT,
                   "the program could not be brought to hang again in the recorded order of its tasks: %s",
                   endings[first]);
}

// ---- fewer stints

// Without the stints [from, to): 1 better, 0 not, -1.
static int without(struct minimize *m, size_t from, size_t to) {
    struct stint_list list = {0};
    stint_list_append(&list, &m->best, 0, from);
    stint_list_append(&list, &m->best, to, m->best.count);
    minimize_progress(m, "%zu stints are enough, %zu?", m->best.count, list.count);
    int ending = improve(m, &list);
    stint_list_release(&list);
    return ending < 0 ? -1 : ending == ENDING_HANGS;
}

// Until none of them can be taken away alone.
static int reduce(struct minimize *m) {
    size_t size = (m->best.count + 1) / 2;
    while (m->best.count && !m->stopped) {
        bool any = false;
        if (size > m->best.count) size = m->best.count;
        for (size_t i = 0; i < m->best.count && !m->stopped;) {
            int better = without(m, i, i + size < m->best.count ? i + size : m->best.count);
            if (better < 0) return -1;
            any |= better;
            if (!better) i += size;
        }
        if (size == 1 && !any) break;
        if (size > 1) size = size / 2;
    }
    return 0;
}

// ---- the result

// The verdict on the minimal run, and the names of its tasks.
static int describe(struct minimize *m) {
    struct session *s;
    const struct verdict *v;
    size_t len = 0;
    if (minimize_read_stints(m, m->minimal.trace, NULL, &m->minimal) < 0 ||
        session_open(m->minimal.trace, &s, m->err) < 0)
        return -1;
    struct timeline *t = session_timeline(s);
    int failed = session_verdict(s, &v, m->err);
    if (!failed) failed = timeline_seek(t, timeline_last(t), m->err);
    if (!failed) {
        FILE *text = open_memstream(&m->text, &len);
        rf_assert(text);
        report_text(text, v, timeline_source_line, t);
        fclose(text);
        m->verdict = report_json_object(v);
        rf_assert(m->verdict);
        failed = sources_attach(m->minimal.trace, v, m->err);
        m->name_count = replay_task_count(timeline_replay(t));
        m->names = calloc(m->name_count + 1, sizeof *m->names);
        rf_assert(m->names);
        for (size_t i = 0; i < m->name_count; i++)
            snprintf(m->names[i], sizeof *m->names, "%s", replay_task_at(timeline_replay(t), i)->name);
    }
    session_close(s);
    return failed;
}

static int minimize(struct minimize *m) {
    if (begin(m) < 0 || reduce(m) < 0) return -1;
    if (!m->stopped && minimize_find_pair(m) < 0) return -1;
    return describe(m);
}

// FILE-min.refork beside FILE, or FILE-min-2.refork and so on.
static int name_output(const struct cli_args *args, struct minimize *m) {
    const char *given = cli_value(args, "output"), *name = given ? given : m->input;
    size_t len = strlen(name);
    if (len > 7 && !strcmp(name + len - 7, ".refork")) len -= 7;
    if (len > sizeof m->stem - 20)
        return rf_fail(m->err, RF_CANNOT, "the name '%.100s...' is too long", name);
    for (int i = 1; !given && i < 100000; i++) {
        char number[20] = "";
        if (i > 1) snprintf(number, sizeof number, "-%d", i);
        snprintf(m->stem, sizeof m->stem, "%.*s-min%s", (int)len, name, number);
        snprintf(m->output, sizeof m->output, "%s.refork", m->stem);
        if (access(m->output, F_OK) < 0) return 0;
    }
    if (!given) return rf_fail(m->err, RF_CANNOT, "too many files '%s-min...': name one with -o", name);
    snprintf(m->stem, sizeof m->stem, "%.*s", (int)len, name);
    snprintf(m->output, sizeof m->output, "%s", name);
    char *a = realpath(m->output, NULL), *b = realpath(m->input, NULL);
    bool same = a && b && !strcmp(a, b);
    free(a);
    free(b);
    if (same)
        return rf_fail(m->err, RF_CANNOT, "'%s' is the recording to be minimized: name another file with -o",
                       m->output);
    return 0;
}

static int read_options(const struct cli_args *args, struct minimize *m) {
    uint64_t seconds = TIMEOUT_S;
    m->runs_max = RUNS;
    if (args->operand_count < 1 || !args->operands[0][0])
        return rf_fail(m->err, RF_CANNOT,
                       "no recording given: usage: refork minimize [OPTION...] FILE [-- PROGRAM [ARG...]]");
    m->input = args->operands[0];
    if (args->operand_count > 1) m->argv = args->operands + 1;
    if (m->argv && !m->argv[0][0]) return rf_fail(m->err, RF_CANNOT, "empty program name ''");
    if (cli_number(args, "runs", 1, UINT32_MAX, &m->runs_max, m->err) < 0 ||
        cli_number(args, "timeout", 1, 86400, &seconds, m->err) < 0)
        return -1;
    m->timeout_ms = seconds * 1000;
    return name_output(args, m);
}

static int report(const struct cli_args *args, const struct minimize *m) {
    if (!cli_has(args, "json"))
        minimize_report_text(stdout, m);
    else if (minimize_report_json(stdout, m))
        return rf_fail_errno(m->err, RF_CANNOT, "could not write the result");
    return RF_DEADLOCK;
}

static int no_deadlock(const struct cli_args *args, const struct minimize *m) {
    if (cli_has(args, "json"))
        puts("{\"deadlock\": false}");
    else
        printf("There is no deadlock in '%s': nothing to minimize.\n", m->input);
    return RF_OK;
}

static void release(struct minimize *m) {
    struct side *sides[] = {&m->pair.first, &m->pair.second};
    for (size_t i = 0; i < 2; i++) {
        free(sides[i]->text);
        json_decref(sides[i]->point);
    }
    stints_free(m->recorded, m->recorded_count);
    schedule_release(&m->places);
    free(m->known);
    free(m->text);
    free(m->names);
    json_decref(m->verdict);
    stint_list_release(&m->best);
    free(m);
}

static int search(const struct cli_args *args, struct minimize *m, struct program_start *start) {
    if (!m->argv) {
        if (choose_program(start, m->err) < 0) return -1;
        m->argv = start->argv;
        m->environment = start->environment;
    }
    snprintf(m->trace, sizeof m->trace, "%s.%d.run", m->stem, getpid());
    snprintf(m->file, sizeof m->file, "%s.%d.out", m->stem, getpid());
    run_once_begin();
    int failed = minimize(m);
    int signal = run_once_interrupted();
    run_once_end();
    if (m->terminal) fputs("\r\033[K", stderr);
    unlink(m->trace);
    unlink(m->file);
    if (signal && !m->minimal.trace[0]) {
        program_start_release(start);
        release(m);
        cli_end_like(true, signal);
    }
    return failed ? -1 : report(args, m);
}

static int run_minimize(const struct cli_args *args, struct rf_error *err) {
    struct minimize *m = calloc(1, sizeof *m);
    struct program_start start = {0};
    rf_assert(m);
    m->err = err;
    m->terminal = isatty(STDERR_FILENO);
    m->begin_us = clock_us(CLOCK_MONOTONIC);
    int status = read_options(args, m);
    if (!status) status = read_recording(m, &start, !m->argv);
    if (!status) {
        status = no_deadlock(args, m);
    } else if (status > 0) {
        status = search(args, m, &start);
        // What the program's name or its file is worth: here it is always the recording's program that is gone.
        if (status < 0 && (err->status == RF_NOT_FOUND || err->status == RF_NOT_EXECUTABLE))
            err->status = RF_CANNOT;
    }
    program_start_release(&start);
    release(m);
    return status;
}

static const struct cli_option minimize_options[] = {
    {"output", 'o', "FILE", "write the minimal recording to FILE (default: FILE-min.refork)"},
    {"runs", 0, "N", "run the program N times at most (300)"},
    {"timeout", 0, "S", "end each run after S seconds (30); it does not count as hanging"},
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {0},
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
    .options = minimize_options,
    .run = run_minimize,
};

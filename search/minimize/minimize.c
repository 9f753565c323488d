// refork minimize: the recorded segments of the tasks are taken away bit by bit (ddmin: Zeller, Hildebrandt, TSE 2002) as
// long as the program still comes to the same deadlock. Without segments tasks run until they wait, in the order in
// which they were made.
#include "search/minimize/minimize.h"

#include "core/path.h"
#include "replayer/report/json.h"
#include "replayer/report/text.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"
#include "search/deadlock_key.h"
#include "search/interrupt.h"
#include "search/minimize/minimize_pair.h"
#include "search/minimize/minimize_run.h"
#include "search/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- the recording to be minimized

// 1 there is a deadlock, 0 there is none, -1.
static int read_deadlock(struct minimize *m, struct session *s, struct rf_error *err) {
    const struct verdict *v;
    if (session_verdict(s, &v, err) < 0) return -1;
    const struct finding *cause = v->deadlock ? deadlock_cause(v) : NULL;
    if (!v->deadlock) return 0;
    if (!cause)
        return rf_fail(
            err, RF_CANNOT,
            "'%s' waits for a reason that is not known: that cannot be told apart from other waits",
            m->input);
    deadlock_key(cause, m->key, sizeof m->key);
    return 1;
}

int minimize_read(struct minimize *m, struct rf_error *err) {
    struct session *s;
    struct progress progress;
    if (session_open(m->input, &s, err) < 0) return -1;
    struct timeline *t = session_timeline(s);
    progress_begin(&progress, t);
    int found = read_deadlock(m, s, err);
    if (found > 0 && segments_read(t, &m->recorded, &m->recorded_count, NULL, err) < 0) found = -1;
    if (found > 0 && !m->argv && program_start_read(t, &m->start, err) < 0) found = -1;
    progress_end(&progress, t);
    session_close(s);
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
    if (same_path(start->argv[0], start->path)) return 0;
    free(start->argv[0]);
    start->argv[0] = strdup(start->path);
    rf_assert(start->argv[0]);
    return 0;
}

// ---- the first run that hangs

static void take_best(struct minimize *m, struct segment_list *list) {
    segment_list_release(&m->best);
    m->best = *list;
    *list = (struct segment_list){0};
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
static int keep_fewest(struct minimize *m, const struct kept_run *run, struct rf_error *err) {
    const struct kept_run *before = &m->minimal;
    if (m->fewest.trace[0] && run->switches <= m->fewest.switches) forget_fewest(m);
    if (m->fewest.trace[0] || !before->trace[0] || before->switches >= run->switches) return 0;
    struct kept_run few = *before;
    snprintf(few.trace, sizeof few.trace, "%s-fewest.refork", m->stem);
    snprintf(few.schedule, sizeof few.schedule, "%s.schedule", few.trace);
    if (rename(before->trace, few.trace) < 0 || rename(before->schedule, few.schedule) < 0)
        return rf_fail_errno(err, RF_CANNOT, "could not write '%s'", few.trace);
    m->fewest = few;
    return 0;
}

// Runs `list`, which becomes the best one if it hangs: an ending, or -1.
static int improve(struct minimize *m, struct segment_list *list, struct rf_error *err) {
    int ending = minimize_try(m, list, err);
    if (ending != ENDING_HANGS) return ending;
    struct kept_run run = {0};
    if (minimize_read_segments(m, m->trace, NULL, &run, err) < 0 || keep_fewest(m, &run, err) < 0 ||
        minimize_keep(m, list, m->output, &run, err) < 0)
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

// All segments that were recorded: an ending, or -1.
static int try_recorded(struct minimize *m, struct rf_error *err) {
    int ending = ENDING_ENDS, first = ENDING_UNKNOWN;
    for (int i = 0; i < ROUNDINGS && ending > ENDING_HANGS; i++) {
        struct segment_list list = {0};
        for (size_t k = 0; k < m->recorded_count; k++)
            minimize_add_recorded(m, &list, &m->recorded[k], (enum rounding)i);
        minimize_progress(m, "as it was recorded, %zu segments", list.count);
        ending = improve(m, &list, err);
        if (i == 0) first = ending;
        segment_list_release(&list);
    }
    return ending > ENDING_HANGS ? first : ending;
}

// Without segments, then with all that were recorded: 0 it hangs, -1.
static int begin(struct minimize *m, struct rf_error *err) {
    struct segment_list none = {0};
    int ending = improve(m, &none, err), first;
    if (ending > ENDING_HANGS) ending = try_recorded(m, err);
    first = ending;
    if (ending > ENDING_HANGS) {
        // stdio looks at a terminal or at /dev/null once more than at a file or a pipe: that makes other steps.
        m->to_file = true;
        m->known_count = 0;
        ending = try_recorded(m, err);
    }
    if (ending < 0) return -1;
    if (ending == ENDING_HANGS) return 0;
    if (m->stopped) return rf_fail(err, RF_CANNOT, "stopped before the program hung again: %s", m->stopped);
    return rf_fail(err, RF_CANNOT,
                   "the program could not be brought to hang again in the recorded order of its tasks: %s",
                   endings[first]);
}

// ---- fewer segments

// Without the segments [from, to): 1 better, 0 not, -1.
static int without(struct minimize *m, size_t from, size_t to, struct rf_error *err) {
    struct segment_list list = {0};
    segment_list_append(&list, &m->best, 0, from);
    segment_list_append(&list, &m->best, to, m->best.count);
    minimize_progress(m, "%zu segments are enough, %zu?", m->best.count, list.count);
    int ending = improve(m, &list, err);
    segment_list_release(&list);
    return ending < 0 ? -1 : ending == ENDING_HANGS;
}

// Until none of them can be taken away alone.
static int reduce(struct minimize *m, struct rf_error *err) {
    size_t size = (m->best.count + 1) / 2;
    while (m->best.count && !m->stopped) {
        bool any = false;
        if (size > m->best.count) size = m->best.count;
        for (size_t i = 0; i < m->best.count && !m->stopped;) {
            int better = without(m, i, i + size < m->best.count ? i + size : m->best.count, err);
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
static int describe(struct minimize *m, struct rf_error *err) {
    struct session *s;
    const struct verdict *v;
    size_t len = 0;
    if (minimize_read_segments(m, m->minimal.trace, NULL, &m->minimal, err) < 0 ||
        session_open(m->minimal.trace, &s, err) < 0)
        return -1;
    struct timeline *t = session_timeline(s);
    int failed = session_verdict(s, &v, err);
    if (!failed) failed = timeline_seek(t, timeline_last(t), err);
    if (!failed) {
        FILE *text = open_memstream(&m->text, &len);
        rf_assert(text);
        report_text(text, v, timeline_source_line, t);
        fclose(text);
        m->verdict = report_json_object(v);
        rf_assert(m->verdict);
        failed = sources_attach(m->minimal.trace, v, err);
        m->name_count = replay_task_count(timeline_replay(t));
        m->names = calloc(m->name_count + 1, sizeof *m->names);
        rf_assert(m->names);
        for (size_t i = 0; i < m->name_count; i++)
            snprintf(m->names[i], sizeof *m->names, "%s", replay_task_at(timeline_replay(t), i)->name);
    }
    session_close(s);
    return failed;
}

static int minimize(struct minimize *m, struct rf_error *err) {
    if (begin(m, err) < 0 || reduce(m, err) < 0) return -1;
    if (!m->stopped && minimize_find_pair(m, err) < 0) return -1;
    return describe(m, err);
}

int minimize_search(struct minimize *m, struct rf_error *err) {
    if (!m->argv) {
        if (choose_program(&m->start, err) < 0) return -1;
        m->argv = m->start.argv;
        m->environment = m->start.environment;
    }
    snprintf(m->trace, sizeof m->trace, "%s.%d.run", m->stem, getpid());
    snprintf(m->file, sizeof m->file, "%s.%d.out", m->stem, getpid());
    int failed = minimize(m, err);
    progress_clear();
    unlink(m->trace);
    unlink(m->file);
    if (interrupted() && !m->minimal.trace[0]) return 0;
    return failed ? -1 : 1;
}

void minimize_release(struct minimize *m) {
    struct side *sides[] = {&m->pair.first, &m->pair.second};
    for (size_t i = 0; i < 2; i++) {
        free(sides[i]->text);
        json_decref(sides[i]->point);
    }
    segments_free(m->recorded, m->recorded_count);
    schedule_release(&m->places);
    free(m->known);
    free(m->text);
    free(m->names);
    json_decref(m->verdict);
    segment_list_release(&m->best);
    program_start_release(&m->start);
}

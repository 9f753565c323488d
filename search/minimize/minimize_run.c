#include "search/minimize/minimize_run.h"

#include "core/array.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"
#include "search/deadlock_key.h"
#include "search/interrupt.h"
#include "search/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { FAILURES = 3 };

// ---- lists

// Which of two ends of a task's segments comes first: a place is behind its step.
static bool comes_later(const struct schedule_segment *a, const struct schedule_segment *b) {
    return a->step != b->step ? a->step > b->step : a->place && !b->place;
}

void segment_list_add(struct segment_list *list, struct schedule_segment segment) {
    // Two segments of one task in a row are one; one that is over when it begins is none.
    size_t before = list->count; // behind its last segment
    while (before && list->v[before - 1].task != segment.task)
        before--;
    if ((!segment.step && !segment.place) || (before && !comes_later(&segment, &list->v[before - 1]))) return;
    if (before && before == list->count) {
        list->v[before - 1] = segment;
        return;
    }
    array_push(list->v, list->count, segment);
}

void minimize_add_recorded(struct minimize *m, struct segment_list *list, const struct segment *segment,
                           enum rounding rounding) {
    struct schedule_segment out = {.task = segment->task, .step = segment->until};
    struct segment_place p;
    memset(&p, 0, sizeof p);
    if (rounding == ROUND_PLACED && segment->module) {
        p.behind = segment->end == SEGMENT_ENDS_BEHIND;
        p.place.offset = segment->offset;
        snprintf(p.place.module, sizeof p.place.module, "%s", segment->module);
        out.place = schedule_segment_place(&m->places, &p);
    }
    // A state has no place that could be named.
    bool up = rounding == ROUND_PLACED ? segment->end == SEGMENT_ENDS_BEHIND : rounding == ROUND_UP;
    if (!out.place && up && segment->end != SEGMENT_ENDS_AT) out.step++;
    segment_list_add(list, out);
}

struct schedule minimize_plan(const struct minimize *m, const struct segment_list *list) {
    struct schedule plan = m->places;
    plan.strategy = STRATEGY_SEGMENTS;
    plan.segments = list->v;
    plan.segment_count = list->count;
    return plan;
}

void segment_list_append(struct segment_list *list, const struct segment_list *other, size_t from,
                         size_t to) {
    for (size_t i = from; i < to && i < other->count; i++)
        segment_list_add(list, other->v[i]);
}

void segment_list_release(struct segment_list *list) {
    free(list->v);
    *list = (struct segment_list){0};
}

// ---- progress

void minimize_progress(const struct minimize *m, const char *format, ...) {
    if (!m->terminal) return;
    char text[100];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    progress_line("refork: run %" PRIu64 ": %s", m->runs + 1, text);
}

// ---- runs

// What the last run, which the recorder stopped, waits for.
static int judge(struct minimize *m, struct rf_error *err) {
    struct session *s;
    const struct verdict *v;
    char key[sizeof m->key];
    if (session_open(m->trace, &s, err) < 0) return -1;
    int ending = session_verdict(s, &v, err) < 0 ? -1 : ENDING_OTHER;
    const struct finding *cause = ending < 0 ? NULL : deadlock_cause(v);
    if (cause) {
        deadlock_key(cause, key, sizeof key);
        if (!strcmp(key, m->key)) ending = ENDING_HANGS;
    }
    session_close(s);
    return ending;
}

static bool over(struct minimize *m) {
    if (interrupted())
        m->stopped = "interrupted";
    else if (m->runs >= m->runs_max)
        m->stopped = "the number of runs is used up";
    return m->stopped;
}

int minimize_run(struct minimize *m, const struct segment_list *list, struct rf_error *err) {
    if (over(m)) return ENDING_UNKNOWN;
    const struct schedule plan = minimize_plan(m, list);
    const struct run_once run = {.argv = m->argv,
                                 .environment = m->environment,
                                 .output = m->trace,
                                 .schedule = &plan,
                                 .program_output = m->to_file ? m->file : NULL,
                                 .cpus = (unsigned)m->cpus,
                                 .cpu = m->cpu,
                                 .timeout_ms = m->timeout_ms};
    struct rf_error failure = {0};
    int failed = run_once(&run, &m->last, &failure);
    if (interrupted()) return over(m) ? ENDING_UNKNOWN : -1;
    m->runs++;
    if (failed && (m->runs == 1 || ++m->failures >= FAILURES)) {
        *err = failure;
        return -1;
    }
    if (failed) return ENDING_OTHER;
    m->failures = 0;
    if (m->last.record.stuck) return judge(m, err);
    return m->last.timed_out ? ENDING_LATE : ENDING_ENDS;
}

int minimize_try(struct minimize *m, const struct segment_list *list, struct rf_error *err) {
    uint64_t hash = list->count ? XXH3_64bits(list->v, list->count * sizeof *list->v) : 0;
    for (size_t i = 0; i < m->known_count; i++)
        if (m->known[i].hash == hash) return (int)m->known[i].ending;
    int ending = minimize_run(m, list, err);
    if (ending <= ENDING_UNKNOWN) return ending;
    array_push(m->known, m->known_count, (struct known_run){hash, (enum ending)ending});
    return ending;
}

// ---- what is kept

static int write_schedule(const struct minimize *m, const struct segment_list *list, const char *path,
                          struct rf_error *err) {
    const struct schedule plan = minimize_plan(m, list);
    return schedule_save(path, &plan, err);
}

int minimize_keep(struct minimize *m, const struct segment_list *list, const char *path, struct kept_run *out,
                  struct rf_error *err) {
    snprintf(out->trace, sizeof out->trace, "%s", path);
    snprintf(out->schedule, sizeof out->schedule, "%s.schedule", out->trace);
    out->signaled = m->last.record.signaled;
    out->status = m->last.record.status;
    if (rename(m->trace, out->trace) < 0)
        return rf_fail_errno(err, RF_CANNOT, "could not write '%s'", out->trace);
    return write_schedule(m, list, out->schedule, err);
}

int minimize_read_segments(struct minimize *m, const char *path, struct segment_list *list,
                           struct kept_run *out, struct rf_error *err) {
    struct timeline *t;
    struct segment *segments;
    size_t count;
    if (timeline_open(path, &t, err) < 0) return -1;
    int failed = segments_read(t, &segments, &count, NULL, err);
    timeline_close(t);
    if (failed) return -1;
    out->switches = count ? count - 1 : 0;
    out->free_switches = segments_unforced(segments, count);
    for (size_t i = 0; list && i < count; i++)
        minimize_add_recorded(m, list, &segments[i], ROUND_PLACED);
    segments_free(segments, count);
    return 0;
}

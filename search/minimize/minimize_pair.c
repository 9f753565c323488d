// The two steps that decide. Two segments that follow each other, of tasks A and B, are exchanged: where the program then
// ends by itself, their order decides. Then the steps are looked for: all runs in between, from "A first" to
// "B first", differ from the next one by the order of one step of each.
#include "search/minimize/minimize_pair.h"
#include "search/minimize/minimize_run.h"

#include "search/deadlock_key.h"
#include "core/annex.h"
#include "core/calls/syscalls.h"
#include "replayer/report/text.h"
#include "replayer/report/json.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAIRS = 40,
    FRAMES = 64,
    // In another order a task may need more steps to the same place: who uses stdout first sets it up.
    MORE_STEPS = 256,
};

// Segment `at` of the list, A's, and the next one, B's. a, b: the own steps that they have made before.
struct exchange {
    const struct segment_list *list;
    size_t at;
    uint64_t a, b;
};

static const struct schedule_segment *segment_a(const struct exchange *x) {
    return &x->list->v[x->at];
}

static const struct schedule_segment *segment_b(const struct exchange *x) {
    return &x->list->v[x->at + 1];
}

// Where a segment is cut: at one of the task's own steps, the one behind its last being its place, if it has one.
static uint64_t end_of(const struct schedule_segment *segment) {
    return segment->step + (segment->place != 0);
}

static struct schedule_segment cut(const struct schedule_segment *segment, uint64_t at) {
    if (at == end_of(segment)) return *segment;
    return (struct schedule_segment){.task = segment->task, .step = at};
}

static uint64_t steps_before(const struct segment_list *list, size_t at, uint32_t task) {
    for (size_t i = at; i-- > 0;)
        if (list->v[i].task == task) return end_of(&list->v[i]);
    return 0;
}

// What was before, A until `a`, B until `b`, A until `a_more`, then all of B's segment, of A's, and the others.
static struct segment_list arranged(const struct exchange *x, uint64_t a, uint64_t b, uint64_t a_more) {
    struct segment_list list = {0};
    segment_list_append(&list, x->list, 0, x->at);
    segment_list_add(&list, cut(segment_a(x), a));
    segment_list_add(&list, cut(segment_b(x), b));
    segment_list_add(&list, cut(segment_a(x), a_more));
    segment_list_append(&list, x->list, x->at + 1, x->at + 2);
    segment_list_append(&list, x->list, x->at, x->at + 1);
    segment_list_append(&list, x->list, x->at + 2, x->list->count);
    return list;
}

static int try_arranged(struct minimize *m, const struct exchange *x, uint64_t a, uint64_t b, uint64_t a_more,
                        struct rf_error *err) {
    struct segment_list list = arranged(x, a, b, a_more);
    int ending = minimize_try(m, &list, err);
    segment_list_release(&list);
    return ending;
}

// The first step a' of A such that it hangs when A comes as far as a' before B begins, and not when it comes to a' - 1.
static int narrow_first(struct minimize *m, const struct exchange *x, uint64_t *step, struct rf_error *err) {
    uint64_t ends = x->a, hangs = end_of(segment_a(x));
    while (hangs - ends > 1 && !m->stopped) {
        uint64_t middle = ends + (hangs - ends) / 2;
        minimize_progress(m, "which step decides? one of %" PRIu64, hangs - ends);
        int ending = try_arranged(m, x, middle, x->b, middle, err);
        if (ending < 0) return -1;
        *(ending == ENDING_HANGS ? &hangs : &ends) = middle;
    }
    *step = hangs;
    return 0;
}

// The first step b' of B such that it does not hang when B comes as far as b' before A's step `a`.
static int narrow_second(struct minimize *m, const struct exchange *x, uint64_t a, uint64_t *step,
                         struct rf_error *err) {
    uint64_t hangs = x->b, ends = end_of(segment_b(x));
    while (ends - hangs > 1 && !m->stopped) {
        uint64_t middle = hangs + (ends - hangs) / 2;
        minimize_progress(m, "which step decides? one of %" PRIu64, ends - hangs);
        int ending = try_arranged(m, x, a - 1, middle, a, err);
        if (ending < 0) return -1;
        *(ending == ENDING_HANGS ? &hangs : &ends) = middle;
    }
    *step = ends;
    return 0;
}

// ---- what is shown of it

// What a task does next that stands at `event`.
static void describe_next(struct timeline *t, const struct segment_point *p, char *out, size_t size) {
    struct event e;
    struct rf_error err;
    struct user_regs_struct regs;
    struct view v;
    uint64_t target;
    if (timeline_event(t, p->event, &e, &err) < 0 || replay_view(timeline_replay(t), p->tid, &v, &err) < 0 ||
        replay_task_regs(timeline_replay(t), p->tid, &regs, &err) < 0)
        return;
    if (e.kind == EV_ENTER) {
        snprintf(out, size, "is in the call %s", syscall_name(e.nr));
        return;
    }
    // At the call of a library function: the end of the stub holds where it goes.
    if (regs.rip < ANNEX_STUBS || regs.rip >= ANNEX_STUBS + ANNEX_STUBS_SIZE) return;
    uint64_t stub = (regs.rip - ANNEX_STUBS) / ANNEX_STUB_SIZE * ANNEX_STUB_SIZE + ANNEX_STUBS;
    struct frame f = {0};
    if (!v.read(v.context, stub + ANNEX_STUB_SIZE - 8, &target, sizeof target)) return;
    symbols_pc(timeline_symbols(t), &v, target, &f);
    if (f.function) snprintf(out, size, "is about to call %s", f.function);
}

static int show_side(struct timeline *t, const struct segment_point *p, struct side *s,
                     struct rf_error *err) {
    *s = (struct side){.task = p->task, .step = p->step, .tid = p->tid, .pid = p->pid, .event = p->event};
    if (!p->event) return 0; // it had not begun yet
    if (timeline_seek(t, p->event, err) < 0) return -1;
    struct frame *frames = calloc(FRAMES, sizeof *frames);
    rf_assert(frames);
    struct finding_point point = {p->event, p->pid, p->tid, {frames, 0}};
    point.stack.count = timeline_stack(t, p->tid, frames, FRAMES);
    const struct replay_task *task = replay_task_find(timeline_replay(t), p->tid);
    if (task) snprintf(s->name, sizeof s->name, "%s", task->name);
    describe_next(t, p, s->next, sizeof s->next);
    size_t len = 0;
    FILE *text = open_memstream(&s->text, &len);
    rf_assert(text);
    report_stack_text(text, &point.stack, timeline_source_line, t);
    fclose(text);
    s->point = report_json_point(&point);
    free(frames);
    return 0;
}

static int show(struct minimize *m, const struct exchange *x, uint64_t a, uint64_t b, struct rf_error *err) {
    struct pair *p = &m->pair;
    struct segment_point places[] = {{.task = segment_a(x)->task, .step = a},
                                     {.task = segment_b(x)->task, .step = b}};
    struct session *s;
    struct segment *segments;
    size_t count;
    if (session_open(p->hangs.trace, &s, err) < 0) return -1;
    struct timeline *t = session_timeline(s);
    const struct segment_questions questions = {.points = places, .point_count = 2};
    int failed = segments_read(t, &segments, &count, &questions, err);
    if (!failed) {
        p->hangs.switches = count ? count - 1 : 0;
        p->hangs.free_switches = segments_unforced(segments, count);
        segments_free(segments, count);
    }
    const struct verdict *v;
    if (!failed)
        failed = show_side(t, &places[0], &p->first, err) || show_side(t, &places[1], &p->second, err);
    if (!failed) failed = session_verdict(s, &v, err) < 0 || sources_attach(p->hangs.trace, v, err) < 0;
    session_close(s);
    return failed ? -1 : 0;
}

// ---- the search

// Runs the list again for its recording: 1 it came as expected, 0 not, -1.
static int keep_as(struct minimize *m, struct segment_list list, enum ending expected, const char *suffix,
                   struct kept_run *out, struct rf_error *err) {
    char path[sizeof out->trace];
    snprintf(path, sizeof path, "%s%s.refork", m->stem, suffix);
    int ending = minimize_run(m, &list, err), result = ending < 0 ? -1 : ending == (int)expected;
    if (result > 0 && minimize_keep(m, &list, path, out, err) < 0) result = -1;
    segment_list_release(&list);
    return result;
}

static int keep_both(struct minimize *m, struct segment_list hangs, struct segment_list ends,
                     struct rf_error *err) {
    int kept = keep_as(m, hangs, ENDING_HANGS, "-hangs", &m->pair.hangs, err);
    if (kept <= 0) {
        segment_list_release(&ends);
        return kept;
    }
    return keep_as(m, ends, ENDING_ENDS, "-ends", &m->pair.ends, err);
}

// The whole segments in their two orders.
static int keep_segments(struct minimize *m, const struct exchange *x, struct rf_error *err) {
    uint64_t a = end_of(segment_a(x)), b = end_of(segment_b(x));
    int kept = keep_both(m, arranged(x, a, x->b, a), arranged(x, x->a, b, a), err);
    if (kept <= 0) return kept;
    m->pair.known = true;
    m->pair.first_until = a;
    m->pair.second_until = b;
    return show(m, x, x->a, x->b, err) < 0 ? -1 : 1;
}

// 1 two steps were found, 0 not, -1.
static int find_steps(struct minimize *m, const struct exchange *x, struct rf_error *err) {
    uint64_t a, b;
    if (narrow_first(m, x, &a, err) < 0 || narrow_second(m, x, a, &b, err) < 0) return -1;
    if (m->stopped) return 0;
    int kept = keep_both(m, arranged(x, a - 1, b - 1, a), arranged(x, a - 1, b, a), err);
    if (kept <= 0) return kept;
    m->pair.known = m->pair.exact = true;
    m->pair.first_until = a;
    m->pair.second_until = b;
    return show(m, x, a - 1, b - 1, err) < 0 ? -1 : 1;
}

// 1 their order decides, 0 not, -1.
static int try_pair(struct minimize *m, const struct segment_list *list, size_t at, struct rf_error *err) {
    struct exchange x = {.list = list, .at = at};
    if (segment_a(&x)->task == segment_b(&x)->task) return 0;
    x.a = steps_before(list, at, segment_a(&x)->task);
    x.b = steps_before(list, at, segment_b(&x)->task);
    minimize_progress(m, "does the order of segments %zu and %zu decide?", at + 1, at + 2);
    int ending = try_arranged(m, &x, x.a, end_of(segment_b(&x)), x.a, err);
    m->pair.exchanged += ending > ENDING_UNKNOWN;
    m->pair.hung += ending == ENDING_HANGS;
    if (ending != ENDING_ENDS) return ending < 0 ? -1 : 0;
    int found = find_steps(m, &x, err);
    return found || m->stopped ? found : keep_segments(m, &x, err);
}

// From the end: the last decision is next to the deadlock.
static int search_list(struct minimize *m, const struct segment_list *list, struct rf_error *err) {
    int found = 0;
    for (size_t n = 0; !found && n + 1 < list->count && n < PAIRS && !m->stopped; n++)
        found = try_pair(m, list, list->count - 2 - n, err);
    return found;
}

// ---- where to look

// The run that hangs, and in it the acquire of the lock and the fork, when its verdict knows them.
struct minimal_run {
    struct segment *segments;
    size_t count;
    struct segment_moment moments[2]; // acquired, forked
};

static int read_minimal(struct minimize *m, struct minimal_run *out, struct rf_error *err) {
    struct session *s;
    const struct verdict *v;
    *out = (struct minimal_run){0};
    if (session_open(m->minimal.trace, &s, err) < 0) return -1;
    struct timeline *t = session_timeline(s);
    int failed = session_verdict(s, &v, err);
    const struct finding *f = failed ? NULL : deadlock_cause(v);
    struct segment_questions questions = {.moments = out->moments};
    if (f && f->acquired.event && f->fork.event) {
        out->moments[0] = (struct segment_moment){.tid = f->acquired.tid, .event = f->acquired.event};
        out->moments[1] = (struct segment_moment){.tid = f->fork.tid, .event = f->fork.event};
        questions.moment_count = 2;
    }
    if (!failed) failed = segments_read(t, &out->segments, &out->count, &questions, err);
    session_close(s);
    return failed;
}

static void add_segments(struct minimize *m, struct segment_list *list, const struct minimal_run *r,
                         size_t from, size_t to, uint32_t except) {
    for (size_t i = from; i < to && i < r->count; i++)
        if (r->segments[i].task != except) minimize_add_recorded(m, list, &r->segments[i], ROUND_PLACED);
}

// Does this list make it hang, and its last two segments decide? 1, 0 or -1.
static int try_last_pair(struct minimize *m, const struct segment_list *list, struct rf_error *err) {
    int ending = list->count < 2 ? ENDING_ENDS : minimize_try(m, list, err);
    if (ending != ENDING_HANGS) return ending < 0 ? -1 : 0;
    return try_pair(m, list, list->count - 2, err);
}

// The segment in which the lock is taken, up to there, and then the one in which the fork is made.
static int search_acquire_and_fork(struct minimize *m, const struct minimal_run *r, struct rf_error *err) {
    const struct segment_moment *acquired = &r->moments[0], *forked = &r->moments[1];
    if (!acquired->task || !forked->task || acquired->task == forked->task ||
        acquired->segment >= forked->segment)
        return 0;
    struct segment_list list = {0};
    add_segments(m, &list, r, 0, acquired->segment, 0);
    add_segments(m, &list, r, acquired->segment + 1, forked->segment, acquired->task);
    segment_list_add(&list, (struct schedule_segment){.task = acquired->task, .step = acquired->step});
    segment_list_add(&list,
                     (struct schedule_segment){.task = forked->task, .step = forked->step + MORE_STEPS});
    int found = try_last_pair(m, &list, err);
    segment_list_release(&list);
    return found;
}

// The segments that the tasks took by themselves; what follows a pair is left to them.
static int search_segments(struct minimize *m, const struct minimal_run *r, struct rf_error *err) {
    int found = 0;
    for (size_t n = r->count; !found && n >= 2 && r->count - n < PAIRS && !m->stopped; n--) {
        struct segment_list list = {0};
        add_segments(m, &list, r, 0, n, 0);
        found = try_last_pair(m, &list, err);
        segment_list_release(&list);
    }
    return found;
}

int minimize_find_pair(struct minimize *m, struct rf_error *err) {
    struct minimal_run r;
    if (read_minimal(m, &r, err) < 0) return -1;
    int found = search_acquire_and_fork(m, &r, err);
    if (!found && !m->stopped) found = search_list(m, &m->best, err);
    if (!found && !m->stopped) found = search_segments(m, &r, err);
    segments_free(r.segments, r.count);
    return found < 0 ? -1 : 0;
}

#include "replayer/compare/tell.h"

#include "core/printable.h"
#include "core/trace/dump.h"
#include "replayer/report/json.h"
#include "replayer/report/lines.h"

#include <inttypes.h>
#include <string.h>

enum { STACK_MOST = 64 };

static const char *const names[] = {"A", "B"};

// A step as it is shown: its line in `refork dump`, the task's name, and where the task is then.
struct shown {
    const struct step *step; // NULL: this one has ended
    char line[300], name[32];
    int tid;
    uint64_t stands; // the event at which the stack is
    struct stack stack;
};

// `before`: where the task stands before that step.
static int show(struct side *side, size_t i, bool before, struct shown *out, struct rf_error *err) {
    struct timeline *t = session_timeline(side->session);
    struct frame frames[STACK_MOST];
    struct event e;
    *out = (struct shown){0};
    if (i == NO_STEP) return 0;
    out->step = &side->steps.all[i];
    if (timeline_event(t, out->step->event, &e, err)) return -1;
    out->tid = e.tid;
    dump_event_line(&e, NULL, out->line, sizeof out->line);
    // A task that ends, or another program's first step, has no stack behind it.
    bool over = e.kind == EV_DEATH || e.kind == EV_EXEC;
    out->stands = out->step->event - (over || before);
    if (timeline_seek(t, out->stands, err)) return -1;
    const struct replay_task *task = replay_task_find(timeline_replay(t), out->tid);
    if (task) snprintf(out->name, sizeof out->name, "%s", task->name);
    out->stack = stack_of(frames, timeline_stack(t, out->tid, frames, STACK_MOST));
    return 0;
}

static void show_release(struct shown *s) {
    free(s->stack.frames);
}

// ---- text

static void print_step(FILE *out, struct side *side, const char *name, const struct shown *s) {
    if (!s->step) {
        report_wrap(out, 2, "%s: has no further step", name);
        return;
    }
    report_wrap(out, 2, "%s: event %" PRIu64 ": task number %u (thread %d '%s')", name, s->step->event,
                s->step->task, s->tid, s->name);
    print_clean(out, "     %s\n", s->line + strspn(s->line, " "));
    if (s->stands < s->step->event && s->stack.count)
        report_wrap(out, 4,
                    s->step->kind == EV_DEATH || s->step->kind == EV_EXEC ? "before it:"
                                                                          : "it goes on from:");
    report_stack_text(out, &s->stack, timeline_source_line, session_timeline(side->session));
}

static int print_difference(FILE *out, struct side sides[2], const struct difference *d,
                            struct rf_error *err) {
    const size_t at[] = {d->a, d->b};
    const bool begins[] = {d->begins_a, d->begins_b};
    for (int i = 0; i < 2; i++) {
        struct shown s;
        if (show(&sides[i], at[i], begins[i], &s, err)) return -1;
        print_step(out, &sides[i], names[i], &s);
        show_release(&s);
    }
    return 0;
}

static int print_head(FILE *out, struct side *side, const char *name, struct rf_error *err) {
    const struct verdict *v;
    if (session_verdict(side->session, &v, err)) return -1;
    const struct finding *f = v->count ? &v->findings[0] : NULL;
    report_wrap(out, 0, "%s: %s: %s%s%s%s%s, %" PRIu64 " events", name, side->path,
                v->deadlock ? "deadlock"
                : v->cut    ? "cut off"
                            : "no deadlock",
                f ? ": " : "", f ? finding_kind_name(f->kind) : "", f && f->lock.symbol[0] ? " on " : "",
                f ? f->lock.symbol : "", side->steps.events);
    return 0;
}

int tell_text(FILE *out, struct side sides[2], const struct comparison *c, struct rf_error *err) {
    if (print_head(out, &sides[0], "A", err) || print_head(out, &sides[1], "B", err)) return -1;
    if (!c->schedule.found && !c->data.found) {
        report_wrap(out, 0, "They are the same: %zu steps of %zu task%s.", c->same, c->tasks_a,
                    c->tasks_a == 1 ? "" : "s");
        return 0;
    }
    report_wrap(out, 0, "The first %zu step%s %s the same in both.", c->same, c->same == 1 ? "" : "s",
                c->same == 1 ? "is" : "are");
    if (c->schedule.found) {
        fputs("\nThe schedule: from here on other tasks have their turn\n\n", out);
        if (print_difference(out, sides, &c->schedule, err)) return -1;
    } else {
        fputs("\nThe schedule is the same: the tasks have their turns in one order.\n", out);
    }
    if (c->data.found) {
        fprintf(out, "\nThe data: task number %u %s\n\n", sides[0].steps.all[c->data.a].task,
                data_difference_text(c->how));
        if (print_difference(out, sides, &c->data, err)) return -1;
    } else {
        report_wrap(
            out, 0,
            "\nThe data are the same: as far as a task goes in both, it does the same and gets the same.");
    }
    if (c->clocks)
        fprintf(out, "\nNot counted: %zu reading%s of clocks and random numbers.\n", c->clocks,
                c->clocks == 1 ? "" : "s");
    return ferror(out) ? rf_fail_errno(err, RF_CANNOT, "cannot write the comparison") : 0;
}

// ---- JSON

static json_t *json_step(struct side *side, size_t i, bool before, struct rf_error *err) {
    struct shown s;
    if (i == NO_STEP) return json_null();
    if (show(side, i, before, &s, err)) return NULL;
    struct finding_point point = {.event = s.stands, .tid = s.tid, .stack = s.stack};
    json_t *o = json_pack("{s:I, s:i, s:i, s:o, s:o, s:o}", "event", (json_int_t)s.step->event, "task",
                          (int)s.step->task, "tid", s.tid, "name", report_json_text(s.name), "line",
                          report_json_text(s.line), "point", report_json_point(&point));
    show_release(&s);
    return o;
}

static json_t *json_difference(struct side sides[2], const struct difference *d, struct rf_error *err) {
    if (!d->found) return json_null();
    json_t *a = json_step(&sides[0], d->a, d->begins_a, err);
    json_t *b = a ? json_step(&sides[1], d->b, d->begins_b, err) : NULL;
    if (b) return json_pack("{s:o, s:o}", "a", a, "b", b);
    json_decref(a);
    return NULL;
}

static json_t *json_side(struct side *side, struct rf_error *err) {
    const struct verdict *v;
    if (session_verdict(side->session, &v, err)) return NULL;
    return json_pack("{s:o, s:I, s:b}", "file", report_json_text(side->path), "events",
                     (json_int_t)side->steps.events, "deadlock", v->deadlock);
}

int tell_json(FILE *out, struct side sides[2], const struct comparison *c, struct rf_error *err) {
    static const char *const how[] = {
        [DATA_CALL] = "call", [DATA_RESULT] = "result", [DATA_WRITTEN] = "written"};
    json_t *a = json_side(&sides[0], err), *b = a ? json_side(&sides[1], err) : NULL;
    json_t *schedule = b ? json_difference(sides, &c->schedule, err) : NULL;
    json_t *data = schedule ? json_difference(sides, &c->data, err) : NULL;
    if (!data) {
        json_decref(a);
        json_decref(b);
        json_decref(schedule);
        return -1;
    }
    json_t *root = json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:s?}", "a", a, "b", b, "same",
                             (json_int_t)c->same, "clocks", (json_int_t)c->clocks, "schedule", schedule,
                             "data", data, "how", c->data.found ? how[c->how] : NULL);
    return report_write_json(out, root) ? rf_fail_errno(err, RF_CANNOT, "cannot write the comparison") : 0;
}

// The recording as one JSON document: what explain --json and info --json say, and what the lanes are drawn from.
#include "tui/export/document.h"

#include "tui/export/subject.h"
#include "tui/lanes.h"
#include "core/version.h"
#include "tui/export/evidence.h"
#include "replayer/report/json.h"

enum { SPANS_MAX = 10000, EVIDENCE_MAX = 64 };

static json_t *number(uint64_t value) {
    return value ? json_integer((json_int_t)value) : json_null();
}

static json_t *tasks_json(const struct tui_model *m) {
    json_t *array = json_array();
    for (size_t i = 0; i < m->task_count; i++) {
        const struct tui_task *t = &m->tasks[i];
        uint64_t stuck = 0;
        if (!tui_stuck(m, t->tid, &stuck)) stuck = 0;
        json_array_append_new(
            array, json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "pid", t->pid, "tid", t->tid,
                             "parent", number((uint64_t)t->parent_tid), "birth", number(t->birth), "death",
                             number(t->death), "name", report_json_text(t->name), "start_routine",
                             report_json_text(t->start_routine), "stuck_since", number(stuck)));
    }
    return array;
}

static json_t *spans_json(const struct verdict *v) {
    json_t *array = json_array();
    for (size_t i = 0; i < v->span_count && i < SPANS_MAX; i++) {
        const struct held_span *s = &v->spans[i];
        char lock[32];
        snprintf(lock, sizeof lock, "0x%llx", (unsigned long long)s->lock);
        json_array_append_new(array,
                              json_pack("{s:s, s:o, s:i, s:i, s:b, s:o, s:o}", "lock", lock, "symbol",
                                        report_json_text(s->symbol), "tid", s->tid, "pid", s->pid, "ghost",
                                        (int)s->ghost, "from", number(s->from), "to", number(s->to)));
    }
    return array;
}

static json_t *event_json(const struct tui_model *m, uint64_t number, bool evidence) {
    struct tui_event e;
    if (!m->source->event(m->source->context, number, &e)) return NULL;
    return json_pack("{s:I, s:I, s:i, s:s, s:o, s:b}", "event", (json_int_t)number, "time_us",
                     (json_int_t)e.time_us, "tid", e.tid, "kind", event_kind_name(e.kind), "text",
                     report_json_text(e.text), "evidence", (int)evidence);
}

static void add_event(void *array, const struct tui_model *m, uint64_t number, bool evidence) {
    json_t *event = event_json(m, number, evidence);
    if (event) json_array_append_new(array, event);
}

int export_json(FILE *out, const struct export_subject *x) {
    const struct tui_model *m = x->model;
    json_t *recording = json_copy((json_t *)(uintptr_t)x->info), *events = json_array();
    json_object_del(recording, "tasks"); // with more in them below
    evidence_walk(m, EVIDENCE_MAX, add_event, events);
    json_t *root =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "refork", REFORK_VERSION, "recording", recording,
                  "verdict", report_json_object(m->verdict), "tasks", tasks_json(m), "spans",
                  spans_json(m->verdict), "span_count", (json_int_t)m->verdict->span_count, "events", events);
    return report_write_json(out, root);
}

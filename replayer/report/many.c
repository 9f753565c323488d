#include "replayer/report/many.h"

#include "core/array.h"
#include "core/path.h"
#include "replayer/names/script.h"
#include "replayer/report/json.h"
#include "replayer/report/lines.h"

#include <stdlib.h>
#include <string.h>

struct trace {
    char *path;
    bool deadlock;
    size_t findings;
    json_t *verdict; // NULL: none
    char error[1024];
    int status;
};

struct group {
    char kind[32], lock[320]; // the lock's symbol, or the site that stands for it
    bool named;               // by its symbol
    bool taken;               // the site is where it was taken, else where somebody waits for it
    char *text;               // the first finding in full
    json_t *finding;
    size_t count;
    size_t *traces; // indices, each once
    size_t trace_count;
};

struct report_many {
    struct trace *traces;
    size_t trace_count;
    struct group *groups;
    size_t group_count;
};

struct report_many *report_many_new(void) {
    struct report_many *m = calloc(1, sizeof *m);
    rf_assert(m);
    return m;
}

void report_many_free(struct report_many *m) {
    if (!m) return;
    for (size_t i = 0; i < m->trace_count; i++) {
        free(m->traces[i].path);
        json_decref(m->traces[i].verdict);
    }
    for (size_t i = 0; i < m->group_count; i++) {
        free(m->groups[i].text);
        json_decref(m->groups[i].finding);
        free(m->groups[i].traces);
    }
    free(m->traces);
    free(m->groups);
    free(m);
}

static struct trace *add_trace(struct report_many *m, const char *path) {
    struct trace *t = array_add(m->traces, m->trace_count);
    t->path = strdup(path);
    rf_assert(t->path);
    return t;
}

void report_many_add_failed(struct report_many *m, const char *path, const struct rf_error *err) {
    struct trace *t = add_trace(m, path);
    t->status = err->status;
    snprintf(t->error, sizeof t->error, "%s", err->text);
}

// ---- groups
// "log_begin, server.c:22" of the program's own innermost frame; "" without a stack.
static void name_site(char *out, size_t size, const struct stack *s) {
    if (!s->count) {
        *out = 0;
        return;
    }
    const struct frame own = script_focus(s, false), *f = &own;
    const char *file = f->file ? base_name(f->file) : NULL;
    if (f->function && file && f->line > 0)
        snprintf(out, size, "%.200s, %.80s:%d", f->function, file, f->line);
    else if (f->function)
        snprintf(out, size, "%.300s", f->function);
    else
        snprintf(out, size, "%.200s+0x%lx", f->module ? f->module : "?", (long)f->module_offset);
}

static struct group *group_of(struct report_many *m, const struct finding *f) {
    char lock[sizeof m->groups->lock];
    bool named = f->lock.symbol[0] && !f->lock.of_this_run, taken = f->acquired.stack.count;
    if (named)
        snprintf(lock, sizeof lock, "%s", f->lock.symbol);
    else
        name_site(lock, sizeof lock, taken ? &f->acquired.stack : &f->waiting.stack);
    const char *kind = finding_kind_name(f->kind);
    for (size_t i = 0; i < m->group_count; i++) {
        struct group *g = &m->groups[i];
        if (!strcmp(g->kind, kind) && g->named == named && !strcmp(g->lock, lock)) return g;
    }
    struct group *g = array_add(m->groups, m->group_count);
    *g = (struct group){.named = named, .taken = taken};
    snprintf(g->kind, sizeof g->kind, "%s", kind);
    snprintf(g->lock, sizeof g->lock, "%s", lock);
    return g;
}

static char *text_of(const struct verdict *v, const struct finding *f, source_line line, void *context) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    rf_assert(out);
    report_finding_text(out, v, f, line, context);
    rf_assert(fclose(out) == 0);
    return text;
}

void report_many_add(struct report_many *m, const char *path, const struct verdict *v, source_line line,
                     void *context) {
    struct trace *t = add_trace(m, path);
    size_t index = m->trace_count - 1;
    t->deadlock = v->deadlock;
    t->findings = v->count;
    t->verdict = report_json_object(v);
    rf_assert(t->verdict);
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        if (f->caused_by) continue;
        struct group *g = group_of(m, f);
        if (!g->count++) {
            g->text = text_of(v, f, line, context);
            g->finding = json_incref(json_array_get(json_object_get(t->verdict, "findings"), i));
        }
        if (g->trace_count && g->traces[g->trace_count - 1] == index) continue;
        array_push(g->traces, g->trace_count, index);
    }
}

// The most frequent first, else as they came.
static void sort_groups(const struct report_many *m, size_t *order) {
    for (size_t i = 0; i < m->group_count; i++) {
        size_t at = i;
        for (; at && m->groups[order[at - 1]].count < m->groups[i].count; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

// ---- text
static void put_counts(FILE *out, const struct report_many *m) {
    size_t stuck = 0, failed = 0, suspicious = 0;
    for (size_t i = 0; i < m->trace_count; i++) {
        const struct trace *t = &m->traces[i];
        stuck += t->deadlock;
        suspicious += !t->deadlock && t->findings;
        failed += !t->verdict;
    }
    char more[120] = "";
    size_t used = 0;
    if (suspicious) used += (size_t)snprintf(more, sizeof more, ", %zu suspicious", suspicious);
    if (failed) snprintf(more + used, sizeof more - used, ", %zu without a verdict", failed);
    report_wrap(out, 0, "%zu recordings: %zu with a deadlock, %zu without%s", m->trace_count, stuck,
                m->trace_count - stuck - suspicious - failed, more);
    for (size_t i = 0; i < m->trace_count; i++)
        if (!m->traces[i].verdict) report_wrap(out, 2, "no verdict: %s", m->traces[i].error);
}

static void put_group(FILE *out, const struct report_many *m, const struct group *g, size_t number) {
    char *names = NULL;
    size_t size;
    bool site = g->lock[0] && !g->named;
    report_wrap(out, 0, "\n%zu. %s%s%s%s: %zu time%s, in %zu of %zu recordings", number, g->kind,
                g->lock[0] ? " on " : "",
                !site      ? ""
                : g->taken ? "the lock taken in "
                           : "what is waited for in ",
                g->lock, g->count, g->count == 1 ? "" : "s", g->trace_count, m->trace_count);
    FILE *list = open_memstream(&names, &size);
    rf_assert(list);
    for (size_t i = 0; i < g->trace_count; i++)
        fprintf(list, "%s%s", i ? ", " : "", m->traces[g->traces[i]].path);
    rf_assert(fclose(list) == 0);
    report_wrap(out, 3, "%s", names);
    free(names);
    report_wrap(out, 3, "The first one, in %s:", m->traces[g->traces[0]].path);
    fputs(g->text, out);
}

void report_many_text(FILE *out, const struct report_many *m) {
    size_t *order = calloc(m->group_count + 1, sizeof *order);
    rf_assert(order);
    sort_groups(m, order);
    put_counts(out, m);
    for (size_t i = 0; i < m->group_count; i++) {
        fputc('\n', out);
        put_group(out, m, &m->groups[order[i]], i + 1);
    }
    free(order);
}

// ---- JSON
static json_t *trace_json(const struct trace *t) {
    json_t *error = t->verdict
                        ? json_null()
                        : json_pack("{s:i, s:o}", "status", t->status, "text", report_json_text(t->error));
    return json_pack("{s:o, s:O?, s:o}", "trace", report_json_text(t->path), "verdict", t->verdict, "error",
                     error);
}

static json_t *group_json(const struct group *g) {
    json_t *traces = json_array();
    for (size_t i = 0; i < g->trace_count; i++)
        json_array_append_new(traces, json_integer((json_int_t)g->traces[i]));
    return json_pack("{s:s, s:o, s:o, s:I, s:o, s:O}", "kind", g->kind, "lock",
                     g->named ? report_json_text(g->lock) : json_null(), "site",
                     g->named ? json_null() : report_json_text(g->lock), "count", (json_int_t)g->count,
                     "traces", traces, "first", g->finding);
}

int report_many_json(FILE *out, const struct report_many *m) {
    json_t *traces = json_array(), *groups = json_array();
    size_t *order = calloc(m->group_count + 1, sizeof *order);
    rf_assert(order);
    sort_groups(m, order);
    for (size_t i = 0; i < m->trace_count; i++)
        json_array_append_new(traces, trace_json(&m->traces[i]));
    for (size_t i = 0; i < m->group_count; i++)
        json_array_append_new(groups, group_json(&m->groups[order[i]]));
    free(order);
    return report_write_json(out, json_pack("{s:o, s:o}", "traces", traces, "groups", groups));
}

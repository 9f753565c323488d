#include "replayer/report/lint.h"

#include "replayer/names/script.h"
#include "replayer/report/json.h"
#include "replayer/report/lines.h"

#include <stdlib.h>

enum { FRAMES_MAX = 12 };

static void put_stack(FILE *out, const struct stack *whole, source_line line, void *context) {
    struct stack script = script_stack(whole), *s = &script;
    size_t first, last, shown = 0;
    bool quoted = false;
    stack_own_part(s, &first, &last);
    if (first == s->count) last = s->count;                        // nothing but libraries
    if (first == 0 || first == s->count) first = s->count ? 1 : 0; // the function itself is in the line above
    for (size_t i = first; i < last; i++) {
        const struct frame *f = &s->frames[i];
        if (shown++ == FRAMES_MAX) {
            fprintf(out, "    (%zu more frames; all are in --json)\n", last - i);
            break;
        }
        report_frame(out, f, i, 0);
        const char *text = !quoted && f->file && f->line > 0 && line ? line(context, f->file, f->line) : NULL;
        if (text) report_source(out, f->line, text);
        quoted |= text != NULL;
    }
    free(script.frames);
}

static void put_call(FILE *out, const struct lint_call *c, source_line line, void *context) {
    char reason[400], times[120] = "";
    lint_reason(c, reason, sizeof reason);
    if (c->count > 1)
        snprintf(times, sizeof times, "; %zu times in %zu process%s", c->count, c->children,
                 c->children == 1 ? "" : "es");
    report_wrap(out, 0, "%s: %s: %s", lint_level_name(c->level), c->function, reason);
    report_wrap(out, 2, "process %d, after event %lu, forked at event %lu%s", c->point.pid,
                (long)(c->point.event ? c->point.event - 1 : 0), (long)c->fork.event, times);
    for (size_t i = 1; i < c->lock_count; i++)
        report_wrap(out, 2, "and on %s%s", *c->locks[i].symbol ? "" : "a lock without a name",
                    c->locks[i].symbol);
    put_stack(out, &c->point.stack, line, context);
}

void report_lint_text(FILE *out, const struct lint *l, source_line line, void *context) {
    size_t levels[3] = {0, 0, 0};
    for (size_t i = 0; i < l->count; i++)
        levels[l->calls[i].level]++;
    if (!l->children) {
        report_wrap(out, 0, "%s: no process with several threads forked: nothing to look at", l->program);
        return;
    }
    if (l->no_symbols) {
        report_wrap(out, 0,
                    "%s: it has its C library linked in and no symbols: its calls cannot be told. Record a "
                    "build that is not stripped.",
                    l->program);
        return;
    }
    report_wrap(
        out, 0,
        "%s: %zu error%s, %zu warning%s, %zu note%s: calls that are not async-signal-safe between fork and "
        "exec or _exit, in %zu child%s of a threaded process",
        l->program, levels[0], levels[0] == 1 ? "" : "s", levels[1], levels[1] == 1 ? "" : "s", levels[2],
        levels[2] == 1 ? "" : "s", l->children, l->children == 1 ? "" : "ren");
    for (size_t i = 0; i < l->count; i++) {
        fputc('\n', out);
        put_call(out, &l->calls[i], line, context);
    }
}

static json_t *call_json(const struct lint_call *c) {
    char reason[400];
    lint_reason(c, reason, sizeof reason);
    json_t *locks = json_array();
    for (size_t i = 0; i < c->lock_count; i++)
        json_array_append_new(locks, report_json_lock(&c->locks[i]));
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o}", "level", lint_level_name(c->level),
                     "function", c->function, "why", report_json_text(reason), "count", (json_int_t)c->count,
                     "children", (json_int_t)c->children, "locks", locks, "call",
                     report_json_point(&c->point), "fork", report_json_point(&c->fork));
}

int report_lint_json(FILE *out, const struct lint *l) {
    json_t *calls = json_array();
    for (size_t i = 0; i < l->count; i++)
        json_array_append_new(calls, call_json(&l->calls[i]));
    return report_write_json(out,
                             json_pack("{s:o, s:I, s:I, s:b, s:o}", "program", report_json_text(l->program),
                                       "events", (json_int_t)l->events, "children", (json_int_t)l->children,
                                       "no_symbols", (int)l->no_symbols, "calls", calls));
}

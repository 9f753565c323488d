#include "search/minimize/minimize_report.h"

#include "core/clock.h"
#include "replayer/report/json.h"
#include "replayer/report/lines.h"
#include "search/shell_word.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "es";
}

static double seconds(const struct minimize *m) {
    return (double)(clock_us(CLOCK_MONOTONIC) - m->begin_us) / 1e6;
}

static size_t recorded_switches(const struct minimize *m) {
    return m->recorded_count ? m->recorded_count - 1 : 0;
}

static const char *name_of(const struct minimize *m, uint32_t task) {
    return task <= m->name_count ? m->names[task - 1] : "?";
}

// "behind libc.so.6+0x8c3b8", where a segment ends at a place; else "".
static void describe_place(const struct minimize *m, const struct schedule_segment *segment, char *out,
                           size_t size) {
    char place[600];
    *out = 0;
    if (!segment->place) return;
    const struct segment_place *p = &m->places.segment_places[segment->place - 1];
    code_place_format(&p->place, place, sizeof place);
    snprintf(out, size, "%s %s", p->behind ? "behind" : "at", place);
}

// ---- text

static void text_again(FILE *out, const struct minimize *m, const char *schedule) {
    shell_word(out, "Again: refork record --schedule ", schedule, false);
    fputs(" --", out);
    for (char *const *a = m->argv; *a; a++)
        shell_word(out, " ", *a, true);
    fputs(m->to_file ? " </dev/null >output 2>&1\n" : " </dev/null >/dev/null 2>&1\n", out);
}

static void text_segments(FILE *out, const struct minimize *m) {
    if (!m->best.count) {
        report_wrap(
            out, 0,
            "No order has to be made on purpose: when each task runs until it waits, and then the next "
            "one in the order in which they were made, it hangs.");
        return;
    }
    report_wrap(
        out, 0,
        "Each task runs until it waits, and then the next one in the order in which they were made, except "
        "that first:");
    for (size_t i = 0; i < m->best.count; i++) {
        const struct schedule_segment *segment = &m->best.v[i];
        char place[700];
        describe_place(m, segment, place, sizeof place);
        report_wrap(out, 2, "%zu. task %" PRIu32 " '%s' runs until its step %" PRIu64 "%s%s%s", i + 1,
                    segment->task, name_of(m, segment->task), segment->step, place[0] ? ", " : "", place,
                    i + 1 < m->best.count ? ", then" : "");
    }
}

static void text_side(FILE *out, const char *letter, const struct side *s) {
    fputc('\n', out);
    report_wrap(out, 2, "%s: task %" PRIu32 " '%s' (%d of process %d)%s%s, behind its step %" PRIu64, letter,
                s->task, s->name, s->tid, s->pid, s->next[0] ? " " : "", s->next, s->step);
    fputs(s->text ? s->text : "    (it has not begun yet)\n", out);
}

static void text_no_pair(FILE *out, const struct minimize *m) {
    const struct pair *p = &m->pair;
    if (m->stopped)
        report_wrap(out, 0, "What decides was not looked for to the end: %s.", m->stopped);
    else if (p->hung && p->hung == p->exchanged)
        report_wrap(
            out, 0,
            "No order decides, as far as was tried: with two segments exchanged it hung all the same, "
            "%u times of %u. Either the program keeps them in their order itself, by pipes, "
            "conditions or joins, or it hangs in any.",
            p->hung, p->exchanged);
    else
        report_wrap(
            out, 0,
            "No order that decides was found: %u exchanges of two segments were tried. In %u of them it "
            "hung all the same, and in the others it did not end by itself either.",
            p->exchanged, p->hung);
}

static void text_pair(FILE *out, const struct minimize *m) {
    const struct pair *p = &m->pair;
    if (!p->known) {
        text_no_pair(out, m);
        return;
    }
    fputs(p->exact ? "What decides is the order of one step of A and one of B:\n"
                   : "What decides is the order of a segment of A and one of B:\n",
          out);
    text_side(out, "A", &p->first);
    text_side(out, "B", &p->second);
    fputc('\n', out);
    char how[100];
    if (p->ends.signaled)
        snprintf(how, sizeof how, "signal %d", p->ends.status);
    else
        snprintf(how, sizeof how, "exit status %d", p->ends.status);
    report_wrap(out, 2, "A before B: it hangs ('%s')", p->hangs.trace);
    report_wrap(out, 2, "B before A: it ends, %s ('%s')", how, p->ends.trace);
    shell_word(out, "\nSee both: refork replay ", p->hangs.trace, true);
    shell_word(out, " ", p->ends.trace, true);
    fputc('\n', out);
}

void minimize_report_text(FILE *out, const struct minimize *m) {
    size_t all = recorded_switches(m), unforced = segments_unforced(m->recorded, m->recorded_count);
    fputs(m->text, out);
    fputc('\n', out);
    text_pair(out, m);
    fputc('\n', out);
    report_wrap(
        out, 0,
        "The recording has %zu switch%s between tasks (%zu of a task that could have gone on). The minimal "
        "one has %zu (%zu), and %zu segment%s of a task that must come in this order.",
        all, plural(all), unforced, m->minimal.switches, m->minimal.free_switches, m->best.count,
        m->best.count == 1 ? "" : "s");
    text_segments(out, m);
    shell_word(out, "The recording is in ", m->minimal.trace, false);
    fputs(".\n", out);
    if (m->fewest.trace[0])
        report_wrap(out, 0, "The fewest switches, %zu (%zu), has one in which more is forced: '%s'.",
                    m->fewest.switches, m->fewest.free_switches, m->fewest.trace);
    text_again(out, m, m->minimal.schedule);
    fprintf(out, "\n%" PRIu64 " run%s in %.1f s.\n", m->runs, m->runs == 1 ? "" : "s", seconds(m));
    if (m->stopped) report_wrap(out, 0, "Stopped early, it may not be minimal: %s.", m->stopped);
}

// ---- JSON

static json_t *json_kept(const struct kept_run *k) {
    return json_pack("{s:o, s:o}", "trace", report_json_text(k->trace), "schedule",
                     report_json_text(k->schedule));
}

static json_t *json_side(const struct side *s, uint64_t until) {
    return json_pack("{s:I, s:o, s:I, s:I, s:o, s:O?}", "task", (json_int_t)s->task, "name",
                     report_json_text(s->name), "step", (json_int_t)s->step, "until", (json_int_t)until,
                     "next", report_json_text(s->next), "point", s->point);
}

static json_t *json_pair(const struct minimize *m) {
    const struct pair *p = &m->pair;
    if (!p->known) return json_null();
    json_t *ends = json_kept(&p->ends);
    json_object_set_new(ends, p->ends.signaled ? "signal" : "status", json_integer(p->ends.status));
    return json_pack("{s:b, s:o, s:o, s:o, s:o}", "exact", p->exact, "first",
                     json_side(&p->first, p->first_until), "second", json_side(&p->second, p->second_until),
                     "hangs", json_kept(&p->hangs), "ends", ends);
}

static json_t *json_switches(size_t all, size_t unforced) {
    return json_pack("{s:I, s:I}", "all", (json_int_t)all, "free", (json_int_t)unforced);
}

static json_t *json_fewest(const struct kept_run *k) {
    if (!k->trace[0]) return json_null();
    json_t *o = json_switches(k->switches, k->free_switches), *files = json_kept(k);
    json_object_update(o, files);
    json_decref(files);
    return o;
}

int minimize_report_json(FILE *out, const struct minimize *m) {
    json_t *segments = json_array();
    for (size_t i = 0; i < m->best.count; i++) {
        const struct schedule_segment *segment = &m->best.v[i];
        char place[700];
        describe_place(m, segment, place, sizeof place);
        json_array_append_new(segments,
                              json_pack("{s:I, s:o, s:I, s:o}", "task", (json_int_t)segment->task, "name",
                                        report_json_text(name_of(m, segment->task)), "until",
                                        (json_int_t)segment->step, "place", report_json_text(place)));
    }
    json_t *root = json_pack(
        "{s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:o}", "deadlock", 1, "runs", (json_int_t)m->runs,
        "recorded", json_switches(recorded_switches(m), segments_unforced(m->recorded, m->recorded_count)),
        "minimal", json_switches(m->minimal.switches, m->minimal.free_switches), "stints", segments, "kept",
        json_kept(&m->minimal), "fewest", json_fewest(&m->fewest), "pair", json_pair(m), "verdict",
        m->verdict, "stopped", report_json_text(m->stopped));
    return report_write_json(out, root);
}

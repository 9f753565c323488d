#include "search/hunt_report.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/printable.h"
#include "search/shell_word.h"
#include "replayer/report/json.h"
#include "replayer/report/lines.h"
#include "replayer/names/stack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN = 20,      // lines of a kind
    SHOWN_ALIKE = 8, // pairs with the same outcome
};

static double seconds(const struct hunt *h) {
    return (double)(h->spent_us ? h->spent_us : clock_us(CLOCK_MONOTONIC) - h->begin_us) / 1e6;
}

static size_t pairs_tried(const struct hunt *h) {
    size_t n = 0;
    for (size_t i = 0; h->tries && i < h->candidates.count; i++)
        n += h->tries[i].tried;
    return n;
}

void hunt_describe(const struct hunt *h, size_t candidate, char *out, size_t size) {
    const struct candidate *c = &h->candidates.v[candidate];
    char lock[300];
    if (c->lock[0])
        snprintf(lock, sizeof lock, "%s", c->lock);
    else
        snprintf(lock, sizeof lock, "0x%" PRIx64, c->address);
    const char *place = "?";
    for (size_t i = 0; i < h->candidates.fork_count; i++)
        if (h->candidates.forks[i].site == c->fork_site) {
            place = h->candidates.forks[i].place;
            break;
        }
    snprintf(out, size, "%s (%s) taken in %s (%s+0x%" PRIx64 "), fork in %s", lock, c->family,
             c->function[0] ? c->function : "?", c->module, c->vaddr, place);
}

size_t hunt_forks_with_others(const struct hunt *h) {
    size_t n = 0;
    for (size_t i = 0; i < h->candidates.fork_count; i++)
        n += h->candidates.forks[i].others > 0;
    return n;
}

bool hunt_had_nothing(const struct hunt *h, char *why, size_t size) {
    size_t forks = h->candidates.fork_count;
    if (h->found_count) return false;
    if (h->runs && h->timed_out_runs == h->runs)
        snprintf(why, size, "each run was ended by its time limit (--timeout gives it more)");
    else if ((h->any_order && h->candidates.tasks > 1) || hunt_forks_with_others(h))
        return false;
    else if (!forks)
        snprintf(why, size, "the program made no fork; its first run %s", h->first_end);
    else
        snprintf(why, size,
                 "whenever the program forked (%zu time%s), it had no second thread; its first run %s", forks,
                 forks == 1 ? "" : "s", h->first_end);
    return true;
}

// ---- text

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

// ---- text: the pairs that made no deadlock, by what became of them

// What was looked at most closely first: the lock was held at the fork; then what the hunt could not bring about.
static const struct {
    enum gate_verdict verdict;
    const char *means;
} outcomes[] = {
    {GATE_CHILD_STUCK, "the lock was held at the fork, and the child waits"},
    {GATE_CHILD_DIED, "the lock was held at the fork; a signal has ended the child"},
    {GATE_CHILD_WENT_ON, "the lock was held at the fork, and the child did not need it"},
    {GATE_ATFORK_PROTECTED, "a fork handler takes the lock: while somebody holds it, there is no fork"},
    {GATE_HOLDER_NEEDED, "the fork does not happen while the holder is parked"},
    {GATE_NEVER_CONCURRENT, "nobody took it there while the fork was held up"},
    {GATE_NO_FORK, "that run did not come to the fork"},
    {GATE_NO_SITE, "there can be no breakpoint"},
    {GATE_UNDECIDED, "the run was over before it was known"},
    {GATE_NONE, "the run could not be made"},
};
_Static_assert(sizeof outcomes / sizeof *outcomes == GATE_VERDICTS, "each outcome has its row");

// Whose the lock is, the program's own first: 0 the program's, 1 of another library, 2 of libc. Where its word lies tells
// it. A bare word in memory that was allocated belongs to the code that takes it; any other lock there is taken by a
// function of libc, whoever owns it.
static int lock_rank(const struct candidate *c) {
    bool by_site = !c->word_module[0] && (strstr(c->family, " word") || !strcmp(c->family, "libc lock"));
    const char *path = c->word_module[0] ? c->word_module : by_site ? c->module : "";
    char module[sizeof c->module];
    snprintf(module, sizeof module, "%s", base_name(path));
    const struct frame f = {.module = module};
    return stack_is_system(&f) ? 2 : strstr(module, ".so") != NULL;
}

// The refuted pairs of one outcome, in the order of their scores. Returns how many.
static size_t refuted_with(const struct hunt *h, enum gate_verdict verdict, size_t *out) {
    size_t n = 0;
    for (int rank = 0; rank <= 2; rank++)
        for (size_t i = 0; h->tries && i < h->candidates.count; i++) {
            const struct hunt_try *y = &h->tries[i];
            if (!y->tried || y->found || y->verdict != verdict || lock_rank(&h->candidates.v[i]) != rank)
                continue;
            out[n++] = i;
        }
    return n;
}

// A reason that several have in a row is said once, behind them.
static void text_outcome(FILE *out, const struct hunt *h, const size_t *pairs, size_t count) {
    size_t shown = count > SHOWN_ALIKE ? SHOWN_ALIKE : count, alike = 0;
    for (size_t i = 0; i < shown; i++) {
        const char *reason = h->tries[pairs[i]].reason;
        char what[1400];
        hunt_describe(h, pairs[i], what, sizeof what);
        report_wrap(out, 4, "%s", what);
        alike++;
        if (i + 1 < shown && !strcmp(reason, h->tries[pairs[i + 1]].reason)) continue;
        report_wrap(out, 6, "%s%s", alike > 1 ? "each: " : "", reason);
        alike = 0;
    }
    if (count > shown) fprintf(out, "    and %zu more (--json lists them)\n", count - shown);
}

static void text_refuted(FILE *out, const struct hunt *h) {
    size_t *pairs = calloc(h->candidates.count + 1, sizeof *pairs);
    rf_assert(pairs);
    bool any = false;
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        size_t count = refuted_with(h, outcomes[i].verdict, pairs);
        if (!count) continue;
        fputs(any ? "\n" : "\nNot confirmed, the program's own locks first:\n", out);
        any = true;
        report_wrap(out, 2, "%s, %zu pair%s: %s", gate_verdict_name(outcomes[i].verdict), count,
                    plural(count), outcomes[i].means);
        text_outcome(out, h, pairs, count);
    }
    free(pairs);
}

static void text_covered(FILE *out, const struct hunt *h) {
    const struct candidates *c = &h->candidates;
    size_t others = hunt_forks_with_others(h);
    if (h->found_count && !c->fork_count && !h->directed_runs)
        report_wrap(out, 0, "%" PRIu64 " run%s in %.1f s. It hung before the forks of a run were looked at.",
                    h->runs, plural(h->runs), seconds(h));
    else
        report_wrap(
            out, 0,
            "%" PRIu64 " run%s in %.1f s (%" PRIu64 " directed, %" PRIu64
            " with other schedules): %zu fork%s at %zu "
            "place%s, %zu of them with other threads alive; %zu acquire site%s; %zu of %zu pair%s tried.",
            h->runs, plural(h->runs), seconds(h), h->directed_runs, h->wide_runs, c->fork_count,
            plural(c->fork_count), c->fork_sites, plural(c->fork_sites), others, c->sites, plural(c->sites),
            pairs_tried(h), c->count, plural(c->count));
    if (h->shared && h->shared->length != UINT64_MAX)
        report_wrap(out, 0, "Of the list in '%s' %" PRIu64 " of %" PRIu64 " runs are done.",
                    h->shared->folder, h->shared->done, h->shared->length);
    else if (h->shared)
        report_wrap(out, 0, "Of the list in '%s' %" PRIu64 " run%s %s done.", h->shared->folder,
                    h->shared->done, plural(h->shared->done), h->shared->done == 1 ? "is" : "are");
    if (h->timed_out_runs)
        report_wrap(out, 0, "%" PRIu64 " run%s ended because the time of a run was over.", h->timed_out_runs,
                    plural(h->timed_out_runs));
    if (h->failed_runs)
        report_wrap(out, 0, "%" PRIu64 " run%s could not be recorded.", h->failed_runs,
                    plural(h->failed_runs));
    if (h->unhealthy_count)
        report_wrap(out, 0,
                    "%zu run%s ended otherwise than --healthy says; that is no deadlock:", h->unhealthy_count,
                    plural(h->unhealthy_count));
    for (size_t i = 0; i < h->unhealthy_count && i < SHOWN; i++)
        report_wrap(out, 2, "run %" PRIu64 " (%s): %s", h->unhealthy[i].run, h->unhealthy[i].how,
                    h->unhealthy[i].ended);
    if (h->unhealthy_count > SHOWN)
        fprintf(out, "  and %zu more (--json lists them)\n", h->unhealthy_count - SHOWN);
    if (c->dropped)
        report_wrap(out, 0, "There are more than %d pairs: the rest was left out.", CANDIDATES_MAX);
    if (!h->found_count && h->stopped && (pairs_tried(h) < c->count || !h->wide_runs))
        report_wrap(out, 0, "Stopped early: %s.", h->stopped);
}

// The program's own words: why it ended so soon, perhaps.
static void text_errors(FILE *out, const struct hunt *h) {
    if (!h->errors[0]) return;
    fputs("The last that it wrote to stderr:\n", out);
    const char *end;
    for (const char *line = h->errors; *line; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');
        print_clean(out, "  | %.*s", (int)(end - line), line);
        fputc('\n', out);
    }
}

void hunt_report_text(FILE *out, const struct hunt *h) {
    for (size_t i = 0; i < h->found_count; i++) {
        const struct hunt_found *f = &h->found[i];
        fputs(f->text, out);
        fprintf(out, "\nFound in run %" PRIu64 " (%s).\n", f->run, f->how);
        shell_word(out, "The recording is in ", f->trace, false);
        fputs(".\n", out);
        if (f->schedule[0]) {
            shell_word(out, "Again: refork record --schedule ", f->schedule, false);
            fputs(" --", out);
            for (char *const *a = h->argv; *a; a++)
                shell_word(out, " ", *a, true);
            if (h->input) shell_word(out, " <", h->input, true);
            fputc('\n', out);
        }
        fputc('\n', out);
    }
    char why[400];
    if (hunt_had_nothing(h, why, sizeof why)) {
        report_wrap(out, 0, "Nothing was hunted: %s.", why);
        text_errors(out, h);
    } else if (!h->found_count) {
        fputs("No deadlock was found.\n", out);
    }
    text_covered(out, h);
    text_refuted(out, h);
}

// ---- JSON

static json_t *json_address(uint64_t address) {
    return json_sprintf("0x%" PRIx64, address);
}

static json_t *json_try(const struct hunt *h, size_t i) {
    const struct candidate *c = &h->candidates.v[i];
    const struct hunt_try *y = &h->tries[i];
    const char *place = NULL;
    for (size_t k = 0; k < h->candidates.fork_count && !place; k++)
        if (h->candidates.forks[k].site == c->fork_site) place = h->candidates.forks[k].place;
    return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:s?, s:I, s:I, s:I}", "candidate",
                     candidate_kind_name(c->kind), "lock", report_json_text(c->lock), "address",
                     json_address(c->address), "kind", c->family, "function", report_json_text(c->function),
                     "module", report_json_text(c->module), "offset", json_address(c->vaddr), "fork_place",
                     report_json_text(place), "verdict", gate_verdict_name(y->verdict), "stage", y->stage,
                     "fork", (json_int_t)y->fork, "runs", (json_int_t)y->runs, "hits", (json_int_t)c->hits);
}

static json_t *json_refuted(const struct hunt *h) {
    json_t *list = json_array();
    for (size_t i = 0; h->tries && i < h->candidates.count; i++) {
        if (!h->tries[i].tried || h->tries[i].found) continue;
        json_t *one = json_try(h, i);
        if (one) json_object_set_new(one, "reason", report_json_text(h->tries[i].reason));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *json_findings(const struct hunt *h) {
    json_t *list = json_array();
    for (size_t i = 0; i < h->found_count; i++) {
        size_t k;
        json_t *one;
        json_array_foreach(json_object_get(h->found[i].verdict, "findings"), k, one)
            json_array_append(list, one);
    }
    return list;
}

static json_t *json_unhealthy(const struct hunt *h) {
    if (!h->judges_ends) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < h->unhealthy_count; i++) {
        const struct hunt_unhealthy *u = &h->unhealthy[i];
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:s, s:o}", "run", (json_int_t)u->run, "how", u->how,
                                        "ended", u->ended, "schedule", report_json_text(u->schedule)));
    }
    return list;
}

static json_t *json_list(const struct hunt *h) {
    const struct hunt_shared *s = h->shared;
    if (!s) return json_null();
    return json_pack(
        "{s:o, s:I, s:o, s:b}", "state", report_json_text(s->folder), "done", (json_int_t)s->done, "length",
        s->length == UINT64_MAX ? json_null() : json_integer((json_int_t)s->length), "complete", s->complete);
}

static json_t *json_found(const struct hunt *h) {
    json_t *list = json_array();
    for (size_t i = 0; i < h->found_count; i++) {
        const struct hunt_found *f = &h->found[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:I, s:s, s:O}", "trace", report_json_text(f->trace),
                                        "schedule", report_json_text(f->schedule), "run", (json_int_t)f->run,
                                        "how", f->how, "verdict", f->verdict));
    }
    return list;
}

int hunt_report_json(FILE *out, const struct hunt *h) {
    const struct candidates *c = &h->candidates;
    const struct hunt_found *first = h->found_count ? h->found : NULL;
    char why[400];
    const char *nothing = hunt_had_nothing(h, why, sizeof why) ? why : NULL;
    return report_write_json(
        out, json_pack("{s:b, s:o, s:o, s:I, s:{s:I, s:I, s:I, s:I}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                       "deadlock", first != NULL, "nothing_hunted", report_json_text(nothing), "stderr",
                       report_json_text(h->errors), "runs", (json_int_t)h->runs, "covered", "forks",
                       (json_int_t)c->fork_count, "sites", (json_int_t)c->sites, "pairs",
                       (json_int_t)pairs_tried(h), "candidates", (json_int_t)c->count, "refuted",
                       json_refuted(h), "findings", json_findings(h), "trace",
                       report_json_text(first ? first->trace : NULL), "schedule",
                       report_json_text(first ? first->schedule : NULL), "found", json_found(h), "unhealthy",
                       json_unhealthy(h), "list", json_list(h), "stopped", report_json_text(h->stopped)));
}

// ---- JUnit

// XML 1.0 has no control characters, and names come from the program.
static void xml_text(FILE *out, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '&')
            fputs("&amp;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else
            fputc((c < 32 && c != '\n' && c != '\t') || c > 126 ? '?' : c, out);
    }
}

static void xml_case(FILE *out, const char *name, uint64_t ms) {
    fputs("  <testcase classname=\"refork.hunt\" name=\"", out);
    xml_text(out, name);
    fprintf(out, "\" time=\"%.3f\">", (double)ms / 1000);
}

static bool ended_unhealthily(const struct hunt *h, size_t candidate) {
    for (size_t i = 0; i < h->unhealthy_count; i++)
        if (h->unhealthy[i].candidate == candidate) return true;
    return false;
}

// JUnit's class of what is neither a failure nor fine.
static void xml_unhealthy(FILE *out, const struct hunt *h, size_t candidate) {
    if (!ended_unhealthily(h, candidate)) return;
    fputs("<error message=\"ended otherwise than --healthy says\">", out);
    for (size_t i = 0; i < h->unhealthy_count; i++) {
        const struct hunt_unhealthy *u = &h->unhealthy[i];
        if (u->candidate != candidate) continue;
        fprintf(out, "run %" PRIu64 " (%s): %s\n", u->run, u->how, u->ended);
    }
    fputs("</error>", out);
}

static void xml_candidate(FILE *out, const struct hunt *h, size_t i) {
    const struct hunt_try *y = &h->tries[i];
    char what[1400];
    hunt_describe(h, i, what, sizeof what);
    xml_case(out, what, y->ms);
    if (!y->tried) {
        fputs("<skipped/>", out);
    } else if (!y->found) {
        fputs("<system-out>", out);
        xml_text(out, gate_verdict_name(y->verdict));
        fputs(": ", out);
        xml_text(out, y->reason);
        fputs("</system-out>", out);
    }
    for (size_t k = 0; k < h->found_count && y->found; k++) {
        if (h->found[k].candidate != i) continue;
        fputs("<failure message=\"deadlock\">", out);
        xml_text(out, h->found[k].text);
        fputs("</failure>", out);
        break;
    }
    xml_unhealthy(out, h, i);
    fputs("</testcase>\n", out);
}

static void xml_nothing(FILE *out, const struct hunt *h, const char *why) {
    fputs("<error message=\"nothing was hunted\">", out);
    xml_text(out, why);
    fputs("\n", out);
    xml_text(out, h->errors);
    fputs("</error>", out);
}

int hunt_report_junit(const char *path, const struct hunt *h, struct rf_error *err) {
    size_t skipped = h->tries ? h->candidates.count - pairs_tried(h) : 0, tests = 1;
    FILE *out = fopen(path, "we");
    if (!out) return rf_fail_errno(err, RF_CANNOT, "could not write '%s'", path);
    size_t others = 0; // deadlocks that no candidate made
    for (size_t i = 0; i < h->found_count; i++)
        others += h->found[i].candidate == SIZE_MAX;
    if (h->tries) tests += h->candidates.count;
    char why[400];
    bool nothing = hunt_had_nothing(h, why, sizeof why);
    size_t errors = ended_unhealthily(h, SIZE_MAX) || nothing;
    for (size_t i = 0; h->tries && i < h->candidates.count; i++)
        errors += ended_unhealthily(h, i);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"refork hunt\"", out);
    fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n", tests,
            h->found_count - others + (others > 0), errors, skipped, seconds(h));
    for (size_t i = 0; h->tries && i < h->candidates.count; i++)
        xml_candidate(out, h, i);
    xml_case(out, "the program under its own and other schedules", (uint64_t)(seconds(h) * 1000));
    if (others) fputs("<failure message=\"deadlock\">", out);
    for (size_t i = 0; i < h->found_count; i++)
        if (h->found[i].candidate == SIZE_MAX) xml_text(out, h->found[i].text);
    if (others) fputs("</failure>", out);
    if (nothing) xml_nothing(out, h, why);
    xml_unhealthy(out, h, SIZE_MAX);
    fputs("</testcase>\n</testsuite>\n", out);
    bool failed = ferror(out);
    if (fclose(out)) failed = true;
    return failed ? rf_fail_errno(err, RF_CANNOT, "could not write '%s'", path) : 0;
}

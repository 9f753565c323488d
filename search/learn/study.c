#include "search/learn/study.h"

#include "core/path.h"
#include "replayer/report/text.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"
#include "search/interrupt.h"
#include "search/run_once.h"
#include "search/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000, FORCED_RUNS = 3, RANDOM_RUNS = 5 };

void study_begin(struct study *s, const struct lesson *l, struct workshop *w) {
    *s = (struct study){.lesson = l, .workshop = w};
}

void study_run_release(struct study_run *run) {
    free(run->output);
    free(run->verdict);
    *run = (struct study_run){0};
}

void study_end(struct study *s) {
    study_run_release(&s->bug);
    study_run_release(&s->fix);
    free(s->difference);
    free(s->proof);
    *s = (struct study){0};
}

static void add_kind(char *kinds, size_t size, const char *kind) {
    size_t len = strlen(kinds);
    snprintf(kinds + len, size - len, "%s%s", len ? " " : "", kind);
}

static int judge(struct study_run *run, struct rf_error *err) {
    struct session *s;
    const struct verdict *v;
    if (session_open(run->trace, &s, err) < 0) return -1;
    int failed = session_verdict(s, &v, err);
    size_t size;
    FILE *out = failed ? NULL : open_memstream(&run->verdict, &size);
    if (out) {
        report_text(out, v, timeline_source_line, session_timeline(s));
        rf_assert(fclose(out) == 0);
        for (size_t i = 0; i < v->count; i++)
            add_kind(run->kinds, sizeof run->kinds, finding_kind_name(v->findings[i].kind));
        if (!v->count) add_kind(run->kinds, sizeof run->kinds, "none");
        failed = sources_attach(run->trace, v, err);
    }
    session_close(s);
    return failed;
}

// argv of `program`, with what sets its environment before it.
static void command_of(const char *program, const char *environment, const char *argv[4]) {
    size_t n = 0;
    if (*environment) {
        argv[n++] = "env";
        argv[n++] = environment;
    }
    argv[n++] = program;
    argv[n] = NULL;
}

int study_run_record(struct study_run *run, const char *program, const char *environment, uint64_t seed,
                     struct rf_error *err) {
    char printed[sizeof run->trace + 16];
    const char *argv[4];
    struct schedule order = {.strategy = STRATEGY_RANDOM, .seed = seed};
    struct run_once_result r;
    *run = (struct study_run){0};
    snprintf(run->trace, sizeof run->trace, "%.4000s%s.refork", program, seed ? "-random" : "");
    snprintf(printed, sizeof printed, "%s.output", run->trace);
    command_of(program, environment, argv);
    const struct run_once once = {.argv = (char *const *)argv,
                                  .output = run->trace,
                                  .schedule = seed ? &order : NULL,
                                  .program_output = printed,
                                  .timeout_ms = TIMEOUT_MS};
    unlink(printed); // it is appended to
    if (run_once(&once, &r, err)) return -1;
    run->deadlock = r.record.stuck;
    run->signaled = r.record.signaled;
    run->status = r.record.status;
    run->events = r.record.events;
    run->output = workshop_text(printed);
    if (r.timed_out)
        return rf_fail(err, RF_CANNOT, "'%s' did not end within %d seconds", base_name(program),
                       TIMEOUT_MS / 1000);
    if (judge(run, err)) return -1;
    run->made = true;
    return 0;
}

int study_verify(const char *trace, const char *program, const char *environment, const char *output,
                 uint64_t runs, char **words, struct rf_error *err) {
    const char *argv[4];
    size_t size;
    command_of(program, environment, argv);
    FILE *out = open_memstream(words, &size);
    if (!out) return rf_fail_errno(err, RF_CANNOT, "no memory for the words of verify");
    const struct verify_options o = {.input = trace,
                                     .argv = (char *const *)argv,
                                     .output = output,
                                     .runs = runs,
                                     .timeout_ms = TIMEOUT_MS};
    int status = verify(&o, out, err);
    rf_assert(fclose(out) == 0);
    if (status < 0) {
        free(*words);
        *words = NULL;
    }
    return status;
}

static int check_library(const struct study *s, struct rf_error *err) {
    const struct lesson *l = s->lesson;
    if (!*l->library || workshop_has_library(s->workshop, l->environment)) return 0;
    return rf_fail(err, RF_CANNOT, "'%s' is not here: install it (Debian: apt-get install %s)", l->library,
                   *l->package ? l->package : "the package that has it");
}

// The names of the programs are seen in the recording: those of their sources.
static int build(const struct study *s, const char *source, char *program, struct rf_error *err) {
    char name[256];
    const char *base = base_name(source);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(base, "."), base);
    return workshop_build(s->workshop, source, name, program, err);
}

static int record(struct study *s, const char *source, struct study_run *run, char *program,
                  struct rf_error *err) {
    if (check_library(s, err) || build(s, source, program, err)) return -1;
    int failed = study_run_record(run, program, s->lesson->environment, 0, err);
    if (failed) study_run_release(run);
    return failed;
}

int study_record(struct study *s, struct rf_error *err) {
    char program[WORKSHOP_PATH];
    if (s->bug.made) return 0;
    interrupt_begin(INTERRUPT_ALL);
    int failed = record(s, s->lesson->program, &s->bug, program, err);
    interrupt_end(INTERRUPT_ALL);
    return failed;
}

static int run_orders(struct study *s, const char *program, struct rf_error *err) {
    bool hangs = s->fix.deadlock;
    for (uint64_t seed = 1; seed <= RANDOM_RUNS && !hangs; seed++) {
        struct study_run run;
        int failed = study_run_record(&run, program, s->lesson->environment, seed, err);
        hangs = run.deadlock;
        study_run_release(&run);
        if (failed) return -1;
        s->orders += !hangs;
    }
    s->proved = !hangs;
    return 0;
}

static int repair(struct study *s, struct rf_error *err) {
    char program[WORKSHOP_PATH], output[WORKSHOP_PATH + 256];
    const struct lesson *l = s->lesson;
    if (record(s, l->fix, &s->fix, program, err)) return -1;
    s->difference = workshop_difference(s->workshop, l->program, l->fix);
    if (!s->bug.deadlock) return 0;
    if (strcmp(l->proof, "verify")) return run_orders(s, program, err);
    snprintf(output, sizeof output, "%.4000s-forced.refork", program);
    int status = study_verify(s->bug.trace, program, l->environment, output, FORCED_RUNS, &s->proof, err);
    s->proved = status == RF_OK;
    return status < 0 ? -1 : 0;
}

int study_repair(struct study *s, struct rf_error *err) {
    if (s->fix.made || !*s->lesson->fix) return 0;
    interrupt_begin(INTERRUPT_ALL);
    int failed = study_record(s, err);
    if (!failed) failed = repair(s, err);
    interrupt_end(INTERRUPT_ALL);
    if (failed) study_run_release(&s->fix);
    return failed;
}

bool study_as_expected(const struct study *s) {
    size_t len = strlen(s->lesson->expect);
    const char *kinds = s->bug.kinds;
    return !strncmp(kinds, s->lesson->expect, len) && (!kinds[len] || kinds[len] == ' ');
}

#include "cli/ends.h"
#include "cli/fail_on.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/rr.h"
#include "core/printable.h"
#include "search/interrupt.h"
#include "search/progress.h"
#include "replayer/report/json.h"
#include "replayer/report/many.h"
#include "replayer/report/sarif.h"
#include "replayer/report/stored.h"
#include "replayer/rr/verdict.h"
#include "replayer/session/session.h"
#include "replayer/verdict/examine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Where lines of source come from.
struct source {
    source_line line;
    void *context;
};

typedef int (*verdict_user)(void *context, const char *path, const struct source *s, const struct verdict *v,
                            struct rf_error *err);

static int use_text(void *out, const char *path, const struct source *s, const struct verdict *v,
                    struct rf_error *err);
static int use_json(void *out, const char *path, const struct source *s, const struct verdict *v,
                    struct rf_error *err);

// The verdict that the recording has stored, for who cannot execute it again, or does not want to.
static int use_stored(const struct cli_args *args, const char *path, enum verdict_level fail_on,
                      struct rf_error *err) {
    struct stored_verdict stored;
    int r = stored_read(path, &stored, err);
    if (r == 0 && cli_has(args, "json")) {
        json_object_set_new(stored.json, "recorded_by", json_string(stored.refork));
        r = report_write_json(stdout, json_incref(stored.json));
        if (r) rf_fail_errno(err, RF_CANNOT, "could not write the verdict");
    } else if (r == 0) {
        printf("as recorded by refork %s, not executed again:\n%s", stored.refork, stored.text);
    }
    if (r == 0) r = stored.level >= fail_on ? RF_DEADLOCK : RF_OK;
    stored_release(&stored);
    return r;
}

// The same for a trace of rr.
static int with_rr(const struct cli_args *args, const char *path, verdict_user use, void *context,
                   enum verdict_level fail_on, struct rf_error *err) {
    struct rr_trace t;
    struct diagnosis *d = NULL;
    int r = cli_rr_open(args, path, &t, err);
    if (r == 0) r = rr_verdict(&t, &d, err);
    if (r == 0) r = use(context, path, &(struct source){diagnosis_source_line, d}, diagnosis_verdict(d), err);
    if (r == 0) r = cli_verdict_status(diagnosis_verdict(d), fail_on);
    diagnosis_free(d);
    rr_trace_release(&t);
    return r;
}

// Hands the verdict on `path` to `use`, then checks the rest of the file: RF_DEADLOCK or RF_OK as args say, -1.
static int with_verdict(const struct cli_args *args, const char *path, verdict_user use, void *context,
                        struct rf_error *err) {
    enum verdict_level fail_on;
    bool no_probes;
    if (cli_fail_on(args, &fail_on, err) || cli_probes(args, &no_probes, err)) return -1;
    struct session *s;
    if (rr_is_trace(path)) return with_rr(args, path, use, context, fail_on, err);
    const bool text = use == use_text || use == use_json;
    if (text && cli_has(args, "stored")) return use_stored(args, path, fail_on, err);
    if (session_open(path, &s, err)) {
        // Where nothing can be executed again (no ptrace, another machine, only a verdict), it may say what it was.
        struct rf_error why = *err;
        int stored =
            text && why.status == RF_CANNOT && !interrupted() ? use_stored(args, path, fail_on, err) : -1;
        if (stored >= 0)
            print_clean(stderr, "refork: %s\n", why.text);
        else
            *err = why;
        return stored < 0 || cli_check_undamaged(path, err) ? -1 : stored;
    }
    struct timeline *t = session_timeline(s);
    if (no_probes) timeline_without_probes(t);
    struct progress progress;
    progress_begin(&progress, t);
    const struct verdict *v;
    int r = session_verdict(s, &v, err);
    progress_end(&progress, t);
    if (r == 0) r = use(context, path, &(struct source){timeline_source_line, t}, v, err);
    if (r == 0) r = cli_verdict_status(v, fail_on);
    session_close(s);
    if (r >= 0 && cli_check_file(path, err)) return -1;
    return r;
}

static int could_not_write(struct rf_error *err) {
    return rf_fail_errno(err, RF_CANNOT, "could not write the verdict");
}

static int use_text(void *out, const char *path, const struct source *s, const struct verdict *v,
                    struct rf_error *err) {
    (void)path;
    (void)err;
    report_text(out, v, s->line, s->context);
    return 0;
}

static int use_json(void *out, const char *path, const struct source *s, const struct verdict *v,
                    struct rf_error *err) {
    (void)path;
    (void)s;
    return report_json(out, v) ? could_not_write(err) : 0;
}

static int use_many(void *many, const char *path, const struct source *s, const struct verdict *v,
                    struct rf_error *err) {
    (void)err;
    report_many_add(many, path, v, s->line, s->context);
    return 0;
}

static int use_sarif(void *runs, const char *path, const struct source *s, const struct verdict *v,
                     struct rf_error *err) {
    (void)s;
    char folder[4096];
    if (!getcwd(folder, sizeof folder)) snprintf(folder, sizeof folder, "/");
    if (!strcmp(folder, "/")) *folder = 0;
    json_t *run = report_sarif_run(v, path, folder);
    if (run && json_array_append_new(runs, run) == 0) return 0;
    return rf_fail(err, RF_CANNOT, "out of memory while describing the verdict");
}

// Several recordings: one that cannot be read keeps nobody from hearing of the others. Ends with the status of the
// first that failed, else 120 when one has a deadlock.
static int explain_all(const struct cli_args *args, verdict_user use, void *context, struct report_many *many,
                       struct rf_error *err) {
    int failed = 0, status = RF_OK;
    for (int i = 0; i < args->operand_count; i++) {
        *err = (struct rf_error){0};
        int one = with_verdict(args, args->operands[i], use, context, err);
        if (one > 0) status = one;
        if (one >= 0) continue;
        if (interrupted()) return -1;
        if (many) report_many_add_failed(many, args->operands[i], err);
        cli_print_error(err);
        if (!failed) failed = err->status ? err->status : RF_CANNOT;
    }
    return failed ? failed : status;
}

static int explain_many(const struct cli_args *args, struct rf_error *err) {
    struct report_many *many = report_many_new();
    int status = explain_all(args, use_many, many, many, err);
    if (status >= 0 && !cli_has(args, "json"))
        report_many_text(stdout, many);
    else if (status >= 0 && report_many_json(stdout, many))
        status = could_not_write(err);
    report_many_free(many);
    return status;
}

static int explain_sarif(const struct cli_args *args, const char *path, struct rf_error *err) {
    json_t *runs = json_array();
    int status =
        path ? with_verdict(args, path, use_sarif, runs, err) : explain_all(args, use_sarif, runs, NULL, err);
    bool any = json_array_size(runs) > 0;
    json_t *log = report_sarif_log(runs);
    if (!any) { // nothing could be read: that has been said, or is in *err
        json_decref(log);
        return status;
    }
    if (report_write_json(stdout, log)) return could_not_write(err);
    return status;
}

enum { WAITING_MOST = 64 };

static int waiting_tasks(const char *text, int tids[WAITING_MOST], size_t *count, bool *alone,
                         struct rf_error *err) {
    *alone = !strncmp(text, "all:", 4);
    if (*alone) text += 4;
    for (const char *at = text;; at++) {
        char *end;
        long tid = strtol(at, &end, 10);
        if (end == at || tid <= 0 || tid > INT_MAX || (*end && *end != ',') || *count == WAITING_MOST)
            return rf_fail(err, RF_CANNOT, "--waiting takes up to %d task numbers with commas, not '%s'",
                           WAITING_MOST, text);
        tids[(*count)++] = (int)tid;
        if (!*end) return 0;
        at = end;
    }
}

// A wait for a child says nothing by itself, and what nobody can explain may be ended by a handler.
static bool says_enough(const struct finding *f) {
    return f->kind != FINDING_CROSS_PROCESS_WAIT &&
           (f->kind != FINDING_UNKNOWN_WAIT || f->confidence == CONFIDENCE_PROVED);
}

static void say_stuck(const struct finding *f, int tid) {
    printf("%d %s\n", tid, confidence_name(f->confidence));
}

// What the recorder asks beside a program that goes on.
static int explain_waiting(const struct cli_args *args, const char *path, struct rf_error *err) {
    int tids[WAITING_MOST];
    size_t count = 0;
    struct timeline *t;
    struct verdict *v;
    bool alone;
    if (waiting_tasks(cli_value(args, "waiting"), tids, &count, &alone, err)) return -1;
    if (timeline_open(path, &t, err)) return -1;
    int failed = examine_waiting(t, tids, count, alone, &v, err);
    timeline_close(t);
    if (failed) return -1;
    for (size_t i = 0; i < v->count; i++) {
        if (!says_enough(&v->findings[i])) continue;
        say_stuck(&v->findings[i], v->findings[i].waiter.tid);
        for (size_t k = 0; k < v->findings[i].edge_count; k++)
            say_stuck(&v->findings[i], v->findings[i].edges[k].waiter.tid);
    }
    int status = v->deadlock ? RF_DEADLOCK : RF_OK;
    verdict_free(v);
    return status;
}

static int run_explain(const struct cli_args *args, struct rf_error *err) {
    char path[4096];
    bool several = args->operand_count > 1, sarif = cli_has(args, "sarif");
    if (sarif && cli_has(args, "json"))
        return rf_fail(err, RF_CANNOT, "--json and --sarif are two formats: give one of them");
    if (!several && cli_trace(args, path, sizeof path, err)) return -1;
    if (cli_has(args, "waiting")) {
        if (several) return rf_fail(err, RF_CANNOT, "--waiting is asked of one recording");
        return explain_waiting(args, path, err);
    }
    if (sarif) return explain_sarif(args, several ? NULL : path, err);
    if (several) return explain_many(args, err);
    return with_verdict(args, path, cli_has(args, "json") ? use_json : use_text, stdout, err);
}

static const struct cli_option explain_options[] = {
    {"json", 0, NULL, "for machines: one JSON document (docs/json.md)"},
    CLI_FAIL_ON,
    CLI_RR,
    {"waiting", 0, "TID,...",
     "of a recording that goes on: which of these tasks wait for ever ('all:TID,...': nobody else could end "
     "it)"},
    {"stored", 0, NULL, "as the recording has stored it: executes nothing, and believes it"},
    CLI_PROBES,
    {"sarif", 0, NULL, "as SARIF 2.1.0, for code review tools: one run per FILE"},
    {0},
};

static const char *const explain_examples[] = {
    "refork explain server.refork                     # the verdict as text",
    "refork explain --json server.refork | jq '.findings[0].lock'",
    "refork explain --fail-on proved *.refork         # which of them are proved deadlocks?",
    NULL,
};

const struct cli_command command_explain = {
    .name = "explain",
    .operands = "[FILE...]",
    .summary = "Say what is stuck, on which lock, and which thread took it",
    .details =
        "The findings of several FILEs are counted by lock, each lock with its first finding in full.\n\n"
        "Exit status: 120 a deadlock was found, 0 none; 121 the replay diverged, 122 unreadable\n"
        "trace, 125 refork itself failed. One of several FILEs that fails keeps the others from\n"
        "nothing, but its status wins.\n",
    .examples = explain_examples,
    .options = explain_options,
    .run = run_explain,
};

#include "tui/export/document.h"
#include "tui/export/page.h"
#include "tui/export/subject.h"
#include "tui/model.h"
#include "cli/begin.h"
#include "cli/files.h"
#include "core/printable.h"
#include "cli/options.h"
#include "cli/rr.h"
#include "search/progress.h"
#include "core/trace/dump.h"
#include "core/path.h"
#include "replayer/calls/strace.h"
#include "replayer/core/core.h"
#include "replayer/report/perfetto.h"
#include "replayer/session/session.h"
#include "tui/recording/rr_source.h"
#include "tui/recording/timeline_source.h"
#include "tui/work.h"
#include "replayer/report/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct product;

struct format {
    const char *name;
    int (*write)(FILE *out, const struct product *p, struct rf_error *err);
    int (*export)(const struct format *format, const char *path, const char *name, struct begin *begin,
                  struct rf_error *err);
    bool of_process; // at an event; else of the whole recording
    bool to_stdout;  // where no file is named
};

// What goes out: a document of the whole recording, or a process at an event.
struct product {
    const struct format *format;
    const struct export_subject *subject;
    struct timeline *timeline; // core: it stands at the event
    const struct begin *begin;
    const char *path;            // strace: of the recording
    struct trace_reader *reader; // perfetto
    const struct lock_history *locks;
};

// NAME.refork becomes NAME.html in the current folder.
static int default_name(const char *path, const char *extension, char *out, size_t size,
                        struct rf_error *err) {
    const char *name = base_name(path);
    size_t len = stem_length(name);
    int n = snprintf(out, size, "%.*s.%s", (int)len, name, extension);
    if (n > 0 && (size_t)n < size && len) return 0;
    return rf_fail(err, RF_CANNOT, "cannot make a name for the export of '%s': give one with -o", path);
}

static int read_info(const char *path, json_t **out, struct rf_error *err) {
    struct trace_reader *reader;
    if (trace_open(path, &reader, err)) return -1;
    int result = 0;
    *out = dump_info_object(path, reader, &result, err);
    trace_close(reader);
    if (result == 0) return 0;
    json_decref(*out);
    *out = NULL;
    return -1;
}

// The document goes to a new file that takes the name when it is whole: a full disk leaves what was there before.
static int write_file(const struct product *p, const char *name, struct rf_error *err) {
    char part[4200];
    snprintf(part, sizeof part, "%s.part-%d", name, (int)getpid());
    FILE *out = fopen(part, "wxe");
    if (!out) return rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", name);
    int failed = p->format->write(out, p, err);
    if (fclose(out) && !failed) failed = rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", name);
    if (!failed && rename(part, name)) failed = rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", name);
    if (failed) unlink(part);
    return failed;
}

static int write_out(const struct product *p, const char *name, struct rf_error *err) {
    if (!strcmp(name, "-")) return p->format->write(stdout, p, err);
    if (write_file(p, name, err)) return -1;
    if (isatty(STDERR_FILENO)) print_clean(stderr, "refork: wrote '%s'\n", name);
    return 0;
}

static int export_core(const struct format *format, const char *path, const char *name, struct begin *begin,
                       struct rf_error *err) {
    struct timeline *t;
    if (begin_choose(path, begin, err) || timeline_open(path, &t, err)) return -1;
    struct product p = {.format = format, .timeline = t, .begin = begin};
    int failed = timeline_seek(t, begin->event, err) || write_out(&p, name, err);
    timeline_close(t);
    return failed ? -1 : 0;
}

static int export_timeline(const struct format *format, const char *path, const char *name,
                           struct session *session, struct rf_error *err) {
    struct timeline *timeline = session_timeline(session);
    struct timeline_source *source;
    struct export_subject x = {.path = path};
    json_t *info;
    const struct verdict *v;
    struct progress progress;
    progress_begin(&progress, timeline);
    int failed = session_verdict(session, &v, err);
    progress_end(&progress, timeline);
    if (failed || read_info(path, &info, err)) return -1;
    if (timeline_source_new(session, path, &source, err)) {
        json_decref(info);
        return -1;
    }
    struct tui_model model;
    tui_model_init(&model, timeline_source_get(source), 120, 40, 0);
    while (model.verdict_state < TUI_VERDICT_DONE && tui_model_work(&model))
        continue;
    x.model = &model;
    x.info = info;
    struct product product = {.format = format, .subject = &x};
    failed = write_out(&product, name, err);
    tui_model_release(&model);
    timeline_source_free(source);
    json_decref(info);
    return failed;
}

static int export_session(const struct format *format, const char *path, const char *name,
                          struct begin *begin, struct rf_error *err) {
    struct session *session;
    (void)begin;
    if (session_open(path, &session, err)) return -1;
    int r =
        timeline_last(session_timeline(session))
            ? 0
            : rf_fail(err, RF_BAD_TRACE, "nothing to export: '%s' is cut off before its first event", path);
    if (r == 0) r = export_timeline(format, path, name, session, err);
    session_close(session);
    return r;
}

static int export_locks(const struct format *format, const char *path, const char *name, struct begin *begin,
                        struct rf_error *err) {
    struct session *session;
    struct product product = {.format = format};
    struct progress progress;
    struct lock_history *locks = NULL;
    (void)begin;
    if (session_open(path, &session, err)) return -1;
    progress_begin(&progress, session_timeline(session));
    int failed = session_locks(session, &locks, err);
    product.locks = locks;
    progress_end(&progress, session_timeline(session));
    if (!failed && !(failed = trace_open(path, &product.reader, err))) {
        failed = write_out(&product, name, err);
        trace_close(product.reader);
    }
    session_close(session);
    return failed ? -1 : 0;
}

// Text goes out as it comes, so stdout shows it from the begin on.
static int export_calls(const struct format *format, const char *path, const char *name, struct begin *begin,
                        struct rf_error *err) {
    (void)begin;
    return write_out(&(struct product){.format = format, .path = path}, name, err);
}

static int write_html(FILE *out, const struct product *p, struct rf_error *err) {
    return export_html(out, p->subject) ? rf_fail_errno(err, RF_CANNOT, "cannot write the output") : 0;
}

static int write_json(FILE *out, const struct product *p, struct rf_error *err) {
    return export_json(out, p->subject) ? rf_fail_errno(err, RF_CANNOT, "cannot write the output") : 0;
}

static int write_core(FILE *out, const struct product *p, struct rf_error *err) {
    return core_write(out, p->timeline, p->begin->pid, p->begin->tid, err);
}

static int write_strace(FILE *out, const struct product *p, struct rf_error *err) {
    return strace_write(out, p->path, err);
}

static int write_perfetto(FILE *out, const struct product *p, struct rf_error *err) {
    return perfetto_write(out, p->reader, p->locks, err);
}

static const struct format formats[] = {
    {"html", write_html, export_session, false, false},
    {"json", write_json, export_session, false, false},
    {"core", write_core, export_core, true, false},
    {"strace", write_strace, export_calls, false, true},
    {"perfetto", write_perfetto, export_locks, false, false},
    {0},
};

// ---- a trace of rr

static json_t *rr_info(const struct rr_trace *t) {
    json_t *tasks = json_array();
    uint64_t us = t->frame_count ? t->frames[t->frame_count - 1].time_us - t->frames[0].time_us : 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct rr_task *task = &t->tasks[i];
        json_t *row =
            json_pack("{s:i, s:I}", "tid", task->tid, "birth", (json_int_t)(task->parent ? task->born : 0));
        if (task->died && WIFSIGNALED(task->status))
            json_object_set_new(row, "signal", json_integer(WTERMSIG(task->status)));
        else if (task->died)
            json_object_set_new(row, "status", json_integer(WEXITSTATUS(task->status)));
        json_array_append_new(tasks, row);
    }
    return json_pack("{s:o, s:I, s:I, s:s, s:o}", "program", report_json_text(t->program), "events",
                     (json_int_t)t->last, "duration_us", (json_int_t)us, "made_by", "rr", "tasks", tasks);
}

static int export_rr_trace(const struct format *format, const struct rr_trace *t, const char *path,
                           const char *name, struct rf_error *err) {
    struct rr_source *source = rr_source_new(t, path);
    struct tui_model model;
    struct export_subject x = {.path = path, .model = &model, .info = rr_info(t)};
    const struct verdict *v;
    int failed = rr_source_get(source)->verdict(source, &v, err);
    if (!failed) {
        tui_model_init(&model, rr_source_get(source), 120, 40, 0);
        while (model.verdict_state < TUI_VERDICT_DONE && tui_model_work(&model))
            continue;
        failed = write_out(&(struct product){.format = format, .subject = &x}, name, err);
        tui_model_release(&model);
    }
    json_decref((json_t *)(uintptr_t)x.info);
    rr_source_free(source);
    return failed;
}

static int export_rr(const struct cli_args *args, const struct format *format, const char *path,
                     const char *name, struct rf_error *err) {
    struct rr_trace t;
    if (format->export != export_session)
        return rf_fail(
            err, RF_CANNOT,
            "cannot export a trace of rr to '%s': it can be a page (--to html) or JSON (--to json)",
            format->name);
    int failed = cli_rr_open(args, path, &t, err);
    if (!failed) failed = export_rr_trace(format, &t, path, name, err);
    rr_trace_release(&t);
    return failed ? -1 : RF_OK;
}

static const struct format *find_format(const struct cli_args *args, struct rf_error *err) {
    const char *name = cli_value(args, "to");
    for (size_t i = 0; name && formats[i].name; i++)
        if (!strcmp(formats[i].name, name)) return &formats[i];
    if (name)
        rf_fail(err, RF_CANNOT,
                "cannot export to '%s': this refork knows html, json, core, strace and perfetto", name);
    else
        rf_fail(err, RF_CANNOT,
                "no format given: add --to html, --to json, --to core, --to strace or"
                " --to perfetto");
    return NULL;
}

static int run_export(const struct cli_args *args, struct rf_error *err) {
    char path[4096], name[4096];
    const struct format *format = find_format(args, err);
    struct begin begin = {0};
    uint64_t pid = 0;
    if (!format || cli_number(args, "at", 1, UINT64_MAX, &begin.event, err) ||
        cli_number(args, "process", 1, INT32_MAX, &pid, err) || cli_at_most(args, 1, err) ||
        cli_trace(args, path, sizeof path, err))
        return -1;
    const char *wanted = cli_value(args, "output");
    if (wanted || format->to_stdout)
        snprintf(name, sizeof name, "%s", wanted ? wanted : "-"); // what people read goes to their terminal
    else if (default_name(path, format->name, name, sizeof name, err))
        return -1;
    begin.pid = (int)pid;
    if (!format->of_process && (begin.event || pid))
        return rf_fail(err, RF_CANNOT, "--process and --at are for --to core: %s has the whole recording",
                       format->name);
    if (rr_is_trace(path)) return export_rr(args, format, path, name, err);
    return format->export(format, path, name, &begin, err) || cli_check_file(path, err) ? -1 : RF_OK;
}

static const struct cli_option export_options[] = {
    {"to", 0, "html|json|core|strace|perfetto",
     "html: a page; json: for machines; core: for debuggers; strace: calls; perfetto: a timeline"},
    {"output", 'o', "FILE", "write to FILE, '-' is stdout (default: NAME.FORMAT here; strace: stdout)"},
    CLI_RR,
    {"process", 0, "PID", "core: of this process (default: the stuck one, else the first)"},
    {"at", 0, "EVENT", "core: right behind this event (default: where a task is stuck, else the end)"},
    {0},
};

static const char *const export_examples[] = {
    "refork export --to html server.refork            # a page to attach to a ticket",
    "refork export --to json -o server.json server.refork",
    "refork export --to core server.refork            # the stuck process, for gdb",
    "refork export --to perfetto server.refork        # tasks, calls and locks, for ui.perfetto.dev",
    "refork export --to strace server.refork          # what the program asked of the kernel",
    NULL,
};

const struct cli_command command_export = {
    .name = "export",
    .operands = "[FILE]",
    .summary = "Write the verdict as one page, a process as a core file, the calls as strace does",
    .details =
        "The page stands alone: it loads nothing, needs no JavaScript, and is light or dark as the\n"
        "reader's system is. It quotes the sources that the verdict names. A core file is opened with the\n"
        "program beside it: gdb PROGRAM FILE, or refork diagnose FILE. In strace's text a pipe or socket "
        "has\n"
        "the number of the event that made it.\n\n"
        "Exit status: 0, or 121 the replay diverged, 122 unreadable trace, 125 refork itself\n"
        "failed.\n",
    .examples = export_examples,
    .options = export_options,
    .run = run_export,
};

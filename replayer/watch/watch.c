#include "replayer/watch/watch.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/printable.h"
#include "replayer/diagnose/diagnose.h"
#include "replayer/diagnose/proc.h"
#include "replayer/diagnose/write_core.h"
#include "replayer/report/json.h"
#include "replayer/watch/looks.h"
#include "replayer/watch/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHARE = 20 }; // of the time, at most one in so many goes into diagnoses that find nothing

// A process that was found stuck, until it is gone or goes on.
struct found {
    int pid;
    uint64_t start;
    char name[32], kind[32], lock[256];
};

struct watch {
    const struct watch_options *options;
    struct looks looks;
    struct watch_metrics metrics;
    struct found *found;
    size_t found_count;
};

__attribute__((format(printf, 2, 3))) static void say(struct watch *w, const char *format, ...) {
    char text[1200], when[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_clean(w->options->out, "%s %s\n", when, text);
    fflush(w->options->out);
}

// ---- the files of a finding

// A process that is stuck, and what is known of it.
struct stuck {
    const struct watched *process;
    struct diagnosis *diagnosis;
    const struct finding *finding;
};

static int write_text(FILE *f, const struct stuck *s, struct rf_error *err) {
    (void)err;
    report_text(f, diagnosis_verdict(s->diagnosis), diagnosis_source_line, s->diagnosis);
    return 0;
}

static int write_json(FILE *f, const struct stuck *s, struct rf_error *err) {
    return report_json(f, diagnosis_verdict(s->diagnosis)) ? rf_fail(err, RF_CANNOT, "could not write JSON")
                                                           : 0;
}

static int write_core(FILE *f, const struct stuck *s, struct rf_error *err) {
    return diagnosis_write_core(f, s->diagnosis, s->finding->waiter.pid, s->finding->waiter.tid, err);
}

// The name comes from the process: no more of it than what names a file anywhere.
static void file_name(const struct watched *p, char *out, size_t size) {
    int n = snprintf(out, size, "%s-%d-%" PRIu64, p->name[0] ? p->name : "process", p->pid, p->start);
    for (int i = 0; i < n && out[i]; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.", out[i]) ||
            (i == 0 && out[i] == '.'))
            out[i] = '_';
}

// What memory holds is for the owner alone, as a core file is.
static int write_file(const char *path, int (*write)(FILE *f, const struct stuck *s, struct rf_error *err),
                      const struct stuck *stuck, struct rf_error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) return rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
    int failed = write(f, stuck, err);
    bool bad = ferror(f);
    bad |= fclose(f) != 0;
    if (!failed && bad) failed = rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
    return failed;
}

// The name without its ending goes to `stem`; "": nothing was written.
static int write_finding(struct watch *w, const struct stuck *stuck, char *stem, size_t size,
                         struct rf_error *err) {
    static const struct {
        const char *extension;
        int (*write)(FILE *f, const struct stuck *s, struct rf_error *err);
        bool core;
    } files[] = {{"txt", write_text, false}, {"json", write_json, false}, {"core", write_core, true}};
    char name[96], path[PATH_MAX];
    *stem = 0;
    if (!w->options->folder) return 0;
    file_name(stuck->process, name, sizeof name);
    int n = snprintf(stem, size, "%s/%s", w->options->folder, name);
    if (n < 0 || (size_t)n >= size - 8)
        return rf_fail(err, RF_CANNOT, "the name of '%s' is too long", w->options->folder);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%.*s.%s", n, stem, files[i].extension);
        if ((!files[i].core || w->options->core) && write_file(path, files[i].write, stuck, err)) return -1;
    }
    say(w, "wrote '%s.txt' and .json%s", stem, w->options->core ? " and .core" : "");
    return 0;
}

// ---- one process

// The finding that says why it is stuck: others only wait for it.
static const struct finding *cause(const struct verdict *v, int pid) {
    for (size_t i = 0; i < v->count; i++)
        if (v->findings[i].waiter.pid == pid && !v->findings[i].caused_by) return &v->findings[i];
    return NULL;
}

static int tell_found(struct watch *w, struct watched *p, struct diagnosis *d, const struct finding *f,
                      struct rf_error *err) {
    struct found *new = array_add(w->found, w->found_count);
    *new = (struct found){.pid = p->pid, .start = p->start};
    snprintf(new->name, sizeof new->name, "%s", p->name);
    snprintf(new->kind, sizeof new->kind, "%s", finding_kind_name(f->kind));
    snprintf(new->lock, sizeof new->lock, "%s", f->lock.symbol);
    w->metrics.found++;
    say(w, "process %d (%s) is stuck: %s (%s)%s%s", p->pid, p->name, new->kind,
        confidence_name(f->confidence), new->lock[0] ? ": " : "", new->lock);
    char written[PATH_MAX - 8];
    const struct stuck stuck = {p, d, f};
    if (write_finding(w, &stuck, written, sizeof written, err)) return -1;
    if (w->options->stuck) w->options->stuck(w->options->context, p->pid, written);
    return 0;
}

static bool all_refused(const struct watch *w) {
    for (size_t i = 0; i < w->looks.count; i++)
        if (!w->looks.all[i].refused) return false;
    return true;
}

static int diagnose(struct watch *w, struct watched *p, struct rf_error *err) {
    struct diagnosis *d;
    struct rf_error refused = {0};
    struct proc_task now;
    uint64_t before = clock_us(CLOCK_MONOTONIC);
    w->metrics.diagnoses++;
    if (diagnose_process(p->pid, &d, &refused)) {
        bool gone = !proc_task(p->pid, &now) || now.start != p->start || now.state == 'Z';
        if (gone) return 0;
        w->metrics.refused++;
        p->refused = true;
        say(w, "%s", refused.text);
        if (all_refused(w)) *err = refused;
        return all_refused(w) ? -1 : 0;
    }
    const struct verdict *v = diagnosis_verdict(d);
    const struct finding *f = verdict_level(v) >= w->options->fail_on ? cause(v, p->pid) : NULL;
    int failed = f ? tell_found(w, p, d, f, err) : 0;
    uint64_t cost_us = clock_us(CLOCK_MONOTONIC) - before;
    looks_diagnosed(p, f ? f->waiter.tid : 0, (unsigned)(cost_us * SHARE / 1000 / w->options->every_ms));
    diagnosis_free(d);
    return failed;
}

// ---- a look at all

static const struct watched *find(const struct watch *w, const struct found *f) {
    for (size_t i = 0; i < w->looks.count; i++)
        if (w->looks.all[i].pid == f->pid && w->looks.all[i].start == f->start) return &w->looks.all[i];
    return NULL;
}

static void forget_moved(struct watch *w) {
    for (size_t i = w->found_count; i-- > 0;) {
        const struct watched *p = find(w, &w->found[i]);
        if (p && p->stuck) continue;
        say(w, "process %d (%s) %s", w->found[i].pid, w->found[i].name, p ? "goes on again" : "is gone");
        array_remove(w->found, w->found_count, i);
    }
}

static int tell_metrics(struct watch *w, struct rf_error *err) {
    struct watch_metrics *m = &w->metrics;
    struct stuck_metric *rows = NULL;
    if (!w->options->metrics) return 0;
    m->stuck_count = 0;
    for (size_t i = 0; i < w->found_count; i++)
        array_push(
            rows, m->stuck_count,
            (struct stuck_metric){w->found[i].pid, w->found[i].name, w->found[i].kind, w->found[i].lock});
    m->stuck = rows;
    m->looks = w->looks.looks;
    m->processes = w->looks.count;
    m->last_look_s = (uint64_t)time(NULL);
    int failed = metrics_write(w->options->metrics, m, err);
    free(rows);
    return failed;
}

static bool wanted(const struct watch *w, const struct watched *p) {
    return w->options->all || p->forked || p->denied;
}

int watch_look(struct watch *w, struct rf_error *err) {
    looks_take(&w->looks, &w->options->target);
    forget_moved(w);
    for (size_t i = 0; i < w->looks.count; i++)
        if (wanted(w, &w->looks.all[i]) && looks_due(&w->looks.all[i]) && diagnose(w, &w->looks.all[i], err))
            return -1;
    return tell_metrics(w, err);
}

// False: a signal asks for the end.
static bool wait_for_next(const struct watch_options *o, const sigset_t *ends) {
    struct timespec pause = {.tv_sec = (time_t)(o->every_ms / 1000),
                             .tv_nsec = (long)(o->every_ms % 1000) * 1000000};
    int signal;
    do
        signal = sigtimedwait(ends, NULL, &pause);
    while (signal < 0 && errno == EINTR);
    return signal < 0;
}

struct watch *watch_new(const struct watch_options *options) {
    struct watch *w = calloc(1, sizeof *w);
    rf_assert(w);
    w->options = options;
    return w;
}

void watch_free(struct watch *w) {
    looks_release(&w->looks);
    free(w->found);
    free(w);
}

int watch_run(const struct watch_options *options, uint64_t *found, struct rf_error *err) {
    struct watch *w = watch_new(options);
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, &before);
    int failed = 0;
    do {
        failed = watch_look(w, err);
        if (failed || (options->target.pid && !w->looks.count)) break;
        if (options->looks && w->looks.looks >= options->looks) break;
    } while (wait_for_next(options, &ends));
    *found = w->metrics.found;
    watch_free(w);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return failed;
}

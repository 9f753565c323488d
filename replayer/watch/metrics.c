#include "replayer/watch/metrics.h"

#include "core/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The text format escapes backslash, quote and newline in a label's value:
// https://prometheus.io/docs/instrumenting/exposition_formats/
static void label(FILE *f, const char *name, const char *value) {
    char text[256];
    snprintf(text, sizeof text, "%s", value);
    printable(text);
    fprintf(f, "%s=\"", name);
    for (const char *c = text; *c; c++) {
        if (*c == '\\' || *c == '"') fputc('\\', f);
        fputc(*c, f);
    }
    fputc('"', f);
}

static void head(FILE *f, const char *name, const char *type, const char *help) {
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_all(FILE *f, const struct watch_metrics *m) {
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"refork_watch_looks_total", "counter", "Looks at the watched processes.", m->looks},
        {"refork_watch_diagnoses_total", "counter",
         "Processes that were stopped for a moment and looked into.", m->diagnoses},
        {"refork_watch_deadlocks_total", "counter", "Deadlocks found.", m->found},
        {"refork_watch_refused_total", "counter", "Processes that could not be looked into.", m->refused},
        {"refork_watch_processes", "gauge", "Processes watched at the last look.", m->processes},
        {"refork_watch_last_look_timestamp_seconds", "gauge", "When the last look was.", m->last_look_s},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        head(f, rows[i].name, rows[i].type, rows[i].help);
        fprintf(f, "%s %" PRIu64 "\n", rows[i].name, rows[i].value);
    }
    head(f, "refork_watch_stuck", "gauge", "Processes that are stuck now, one row each.");
    for (size_t i = 0; i < m->stuck_count; i++) {
        const struct stuck_metric *s = &m->stuck[i];
        fprintf(f, "refork_watch_stuck{pid=\"%d\",", s->pid);
        label(f, "process", s->name);
        fputc(',', f);
        label(f, "kind", s->kind);
        fputc(',', f);
        label(f, "lock", s->lock);
        fputs("} 1\n", f);
    }
}

int metrics_write(const char *path, const struct watch_metrics *m, struct rf_error *err) {
    char part[4200];
    int n = snprintf(part, sizeof part, "%s.part-%d", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof part)
        return rf_fail(err, RF_CANNOT, "the name of '%s' is too long", path);
    unlink(part); // of a watch that was killed in the middle
    FILE *f = fopen(part, "wxe");
    if (!f) return rf_fail_errno(err, RF_CANNOT, "cannot write the metrics '%s'", path);
    write_all(f, m);
    int failed = ferror(f);
    failed |= fclose(f);
    if (!failed && !rename(part, path)) return 0;
    rf_fail_errno(err, RF_CANNOT, "cannot write the metrics '%s'", path);
    unlink(part);
    return -1;
}

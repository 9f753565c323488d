#include "cli/files.h"
#include "core/printable.h"

#include "core/path.h"
#include "core/trace/trace_read.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_new_trace(const char *program, char *path, size_t size, struct rf_error *err) {
    const char *name = base_name(program);
    if (!*name || strchr(name, '/')) name = "program";
    for (int i = 1; i < 100000; i++) {
        int n =
            i == 1 ? snprintf(path, size, "%s.refork", name) : snprintf(path, size, "%s-%d.refork", name, i);
        if (n < 0 || (size_t)n >= size)
            return rf_fail(err, RF_CANNOT, "name '%.80s...' is too long for a file: name it with -o", name);
        struct stat st;
        if (lstat(path, &st)) return 0;
    }
    return rf_fail(err, RF_CANNOT, "too many recordings of '%s' here: remove some or name a file with -o",
                   name);
}

static int newest_trace(char *path, size_t size, struct rf_error *err) {
    glob_t found = {0};
    int r = glob("*.refork", 0, NULL, &found);
    const char *best = NULL;
    struct timespec best_time = {0};
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
        struct stat st;
        if (stat(found.gl_pathv[i], &st) || !S_ISREG(st.st_mode)) continue;
        bool newer = st.st_mtim.tv_sec > best_time.tv_sec ||
                     (st.st_mtim.tv_sec == best_time.tv_sec && st.st_mtim.tv_nsec > best_time.tv_nsec);
        if (best && !newer) continue;
        best = found.gl_pathv[i];
        best_time = st.st_mtim;
    }
    int result = 0;
    if (!best)
        result =
            rf_fail(err, RF_CANNOT,
                    "no recording (*.refork) in this folder: name a FILE, or make one with 'refork record'");
    else
        snprintf(path, size, "%s", best);
    globfree(&found);
    return result;
}

int cli_trace(const struct cli_args *args, char *path, size_t size, struct rf_error *err) {
    if (args->operand_count) {
        snprintf(path, size, "%s", args->operands[0]);
        return 0;
    }
    if (newest_trace(path, size, err)) return -1;
    if (isatty(STDERR_FILENO)) print_clean(stderr, "refork: newest recording here: '%s'\n", path);
    return 0;
}

// `refork strip --verdict-only` leaves no events. A recorder that is killed between two chunks leaves a file of whole
// chunks without an END.
static int check_end(const char *path, struct trace_reader *reader, struct rf_error *err) {
    uint64_t offset, last = trace_last_event(reader);
    struct event e;
    if (!last && !trace_truncated(reader, NULL) && trace_blob_by_name(reader, "verdict:json")) return 0;
    if (trace_truncated(reader, &offset))
        return rf_fail(err, RF_BAD_TRACE, "'%s' is cut off at byte %llu: event %llu is the last whole one",
                       path, (unsigned long long)offset, (unsigned long long)last);
    if (!last || trace_seek(reader, last, err) < 0 || trace_next(reader, &e, err) < 0 || e.kind != EV_END)
        return rf_fail(err, RF_BAD_TRACE, "'%s' has no end: its recorder was killed after event %llu", path,
                       (unsigned long long)last);
    return 0;
}

static int check(const char *path, bool may_be_cut, struct rf_error *err) {
    struct trace_reader *reader;
    if (trace_open(path, &reader, err)) return -1;
    int r = trace_verify(reader, err);
    if (r == 0 && !may_be_cut) r = check_end(path, reader, err);
    trace_close(reader);
    return r;
}

int cli_check_file(const char *path, struct rf_error *err) {
    return check(path, false, err);
}

int cli_check_undamaged(const char *path, struct rf_error *err) {
    return check(path, true, err);
}

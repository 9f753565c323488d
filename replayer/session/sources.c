#include "replayer/session/sources.h"

#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"
#include "replayer/names/script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE_MAX_SOURCE = 1 << 20, FILES_MAX = 64, NAME_SIZE = 4200 };

struct files {
    const char *paths[FILES_MAX];
    size_t count;
};

static void add_stack(struct files *f, const struct stack *stack) {
    struct stack s = script_stack(stack);
    for (size_t i = 0; i < s.count && f->count < FILES_MAX; i++) {
        const char *path = s.frames[i].file;
        if (!path || path[0] != '/' || strlen(path) >= 4096) continue;
        bool there = false;
        for (size_t k = 0; k < f->count && !there; k++)
            there = !strcmp(f->paths[k], path);
        if (!there) f->paths[f->count++] = path;
    }
    free(s.frames);
}

static void collect(struct files *f, const struct verdict *v) {
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *x = &v->findings[i];
        add_stack(f, &x->waiting.stack);
        add_stack(f, &x->acquired.stack);
        add_stack(f, &x->fork.stack);
        for (size_t k = 0; k < x->edge_count; k++) {
            add_stack(f, &x->edges[k].waiting.stack);
            add_stack(f, &x->edges[k].acquired.stack);
        }
    }
}

// A regular file only: a FIFO or a device of that name would make the open or the read hang.
static int open_source(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= SIZE_MAX_SOURCE)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool already_there(const char *trace_path, const char *name) {
    struct trace_reader *r;
    struct rf_error err;
    if (trace_open(trace_path, &r, &err) < 0) return false;
    bool there = trace_blob_by_name(r, name) != 0;
    trace_close(r);
    return there;
}

int sources_attach(const char *trace_path, const struct verdict *v, struct rf_error *err) {
    struct files files = {.count = 0};
    struct trace_writer *w = NULL;
    collect(&files, v);
    int failed = 0;
    for (size_t i = 0; i < files.count && !failed; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "source:%s", files.paths[i]);
        int fd = !w && already_there(trace_path, name) ? -1 : open_source(files.paths[i]);
        if (fd < 0) continue;
        uint64_t id;
        if (!w) failed = trace_amend(trace_path, &w, err);
        if (!failed) failed = trace_add_file(w, fd, name, &id, err);
        close(fd);
    }
    if (!w) return failed;
    struct rf_error last;
    int finished = trace_finish(w, failed ? &last : err);
    return failed ? failed : finished;
}

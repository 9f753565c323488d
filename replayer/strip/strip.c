#include "replayer/strip/strip.h"

#include "replayer/timeline.h"

#include <string.h>
#include <unistd.h>

enum { REPLAYS_MAX = 100 };

struct strip {
    struct trace_reader *reader;
    const char *to;
    struct rewrite way;
    struct stripped *out;
};

static bool is_source(const char *name) {
    return !strncmp(name, "source:", 7);
}

static bool is_verdict(const char *name) {
    return !strncmp(name, "verdict:", 8);
}

static bool keep_but_sources(const char *name) {
    return !is_source(name);
}

static bool keep_all(const char *name) {
    (void)name;
    return true;
}

// Does what is written replay to its end? -1: it could not be tried.
static int replays(struct strip *s, struct rf_error *err) {
    struct timeline *t;
    if (rewrite_copy(s->reader, s->to, &s->way, err) < 0 || timeline_open(s->to, &t, err) < 0) return -1;
    s->out->replays++;
    int failed = timeline_seek(t, timeline_last(t), err);
    timeline_close(t);
    if (failed && err->status != RF_DIVERGED) return -1;
    return !failed;
}

static void mark(struct environment *e, size_t from, size_t to, bool out) {
    for (size_t i = from; i < to; i++)
        e->variables[i].out = out && !e->variables[i].kept;
}

// Takes out all of [from, to) that can go beside what is out already, by halves.
static int take_out(struct strip *s, size_t from, size_t to, struct rf_error *err) {
    struct environment *e = &s->out->environment;
    if (from == to) return 0;
    if (s->out->replays >= REPLAYS_MAX) {
        s->out->complete = false;
        for (size_t i = from; i < to; i++)
            e->variables[i].kept = true;
        return 0;
    }
    mark(e, from, to, true);
    struct rf_error why = {0};
    int good = replays(s, &why);
    if (good > 0) return 0;
    if (good < 0) {
        *err = why;
        return -1;
    }
    mark(e, from, to, false);
    if (to - from == 1) {
        e->variables[from].kept = true;
        return 0;
    }
    size_t middle = from + (to - from) / 2;
    return take_out(s, from, middle, err) < 0 ? -1 : take_out(s, middle, to, err);
}

int strip_copy(const char *path, const char *to, bool sources, struct stripped *out, struct rf_error *err) {
    *out = (struct stripped){.complete = true};
    struct strip s = {.to = to, .out = out};
    if (trace_open(path, &s.reader, err) < 0) return -1;
    s.way = (struct rewrite){
        .keep_blob = sources ? keep_but_sources : keep_all, .events = true, .environment = &out->environment};
    int failed = environment_read(s.reader, &out->environment, err);
    // Digests of memory are over the values too.
    for (size_t i = 0; trace_get_header(s.reader)->paranoid_every && i < out->environment.count; i++)
        out->environment.variables[i].kept = true;
    if (!failed && !trace_get_header(s.reader)->paranoid_every)
        failed = take_out(&s, 0, out->environment.count, err);
    // The last try may have been one that did not replay.
    if (!failed) failed = rewrite_copy(s.reader, to, &s.way, err);
    out->files = s.way.files;
    out->bytes = s.way.bytes;
    trace_close(s.reader);
    if (failed) unlink(to);
    return failed;
}

void stripped_release(struct stripped *s) {
    environment_release(&s->environment);
}

int strip_to_verdict(const char *path, const char *to, struct stripped *out, struct rf_error *err) {
    *out = (struct stripped){.complete = true};
    struct trace_reader *r;
    if (trace_open(path, &r, err) < 0) return -1;
    struct rewrite way = {.keep_blob = is_verdict};
    int failed = rewrite_copy(r, to, &way, err);
    out->files = way.files;
    out->bytes = way.bytes;
    trace_close(r);
    if (failed) unlink(to);
    return failed;
}

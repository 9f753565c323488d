// Copies a trace and replaces bytes that the recorded program read: edit_trace IN OUT OLD NEW. OLD and NEW
// have the same length; ends with 1 when OLD was nowhere. Or changes its STATE events: edit_trace IN OUT --no-sites takes their
// sites away, --no-match makes them states that the program never comes to; or --no-signals leaves the SIGNAL events of SIGILL out; ends with 1 when
// there was none.
#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"
#include "tests/copy_blobs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int drop_sites(struct event *e) {
    size_t kept = 0, all = e->piece_count;
    for (size_t i = 0; i < all; i++)
        if (e->pieces[i].kind != PIECE_SITE) e->pieces[kept++] = e->pieces[i];
    e->piece_count = kept;
    return (int)(all - kept);
}

static int never_match(struct event *e) {
    for (size_t i = 0; i < e->piece_count; i++)
        if (e->pieces[i].kind == PIECE_WORD) e->pieces[i].word.value ^= 1ull << 62;
    return 1;
}

// The number of replacements, -1 on error.
static int copy_events(struct trace_reader *in, struct trace_writer *out, const char *old, const char *new,
                       struct rf_error *err) {
    size_t len = strlen(old);
    int replaced = 0, r;
    struct event e;
    while ((r = trace_next(in, &e, err)) > 0) {
        if (e.kind == EV_SIGNAL && e.nr == SIGILL && !new && !strcmp(old, "--no-signals")) {
            replaced++;
            continue;
        }
        if (e.kind == EV_STATE && !new)
            replaced += !strcmp(old, "--no-sites") ? drop_sites(&e) : never_match(&e);
        for (size_t i = 0; i < e.piece_count; i++) {
            struct piece *p = &e.pieces[i];
            if (!new || e.kind == EV_EXEC || p->kind != PIECE_MEM || p->len != len ||
                memcmp(p->data, old, len))
                continue;
            p->data = new;
            replaced++;
        }
        if (trace_append(out, &e, err)) return -1;
    }
    return r < 0 ? -1 : replaced;
}

int main(int argc, char **argv) {
    bool states = argc == 4 && (!strcmp(argv[3], "--no-sites") || !strcmp(argv[3], "--no-match") ||
                                !strcmp(argv[3], "--no-signals"));
    if (!states && (argc != 5 || strlen(argv[3]) != strlen(argv[4]))) {
        fprintf(stderr, "usage: edit_trace IN OUT OLD NEW, or IN OUT --no-sites, or IN OUT --no-match, or IN "
                        "OUT --no-signals\n");
        return 2;
    }
    struct rf_error err = {0};
    struct trace_reader *in;
    struct trace_writer *out;
    int replaced = -1;
    if (trace_open(argv[1], &in, &err) == 0 &&
        trace_create(argv[2], trace_get_header(in), -1, &out, &err) == 0) {
        if (copy_blobs(in, out, &err) == 0) replaced = copy_events(in, out, argv[3], argv[4], &err);
        if (trace_finish(out, replaced < 0 ? NULL : &err)) replaced = -1;
        trace_close(in);
    }
    if (replaced < 0) fprintf(stderr, "edit_trace: %s\n", err.text);
    return replaced < 0 ? 2 : replaced == 0;
}

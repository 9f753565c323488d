#include "search/learn/printed.h"

#include "core/printable.h"
#include "replayer/engine/replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct printed {
    FILE *of[2]; // of the first process, of the others
    char *text[2];
    size_t size[2];
    int first; // process
    bool thread, child;
};

// Adds what the last event printed.
static void collect(struct printed *p, struct replay *r, const char *text, size_t len) {
    const struct event *e = replay_event(r);
    const struct replay_task *task = replay_task_find(r, e->tid);
    if (!p->first && task) p->first = task->pid;
    if (e->kind == EV_BIRTH && e->flags & EVF_THREAD)
        p->thread = true;
    else if (e->kind == EV_BIRTH)
        p->child = true;
    if (len && task) fwrite(text, 1, len, p->of[task->pid != p->first]);
}

static int read_all(const char *trace, struct printed *p, struct rf_error *err) {
    char *text = NULL;
    size_t size = 0, seen = 0;
    FILE *out = open_memstream(&text, &size);
    rf_assert(out);
    const struct replay_options options = {.echo_out = out};
    struct replay *r;
    int more = replay_open(trace, &options, &r, err);
    if (more == 0) {
        while ((more = replay_step(r, err)) > 0) {
            fflush(out);
            collect(p, r, text + seen, size - seen);
            seen = size;
        }
        replay_close(r);
    }
    fclose(out);
    free(text);
    return more;
}

// Takes the line out of the text: false when it is not there.
static bool take_line(char *text, const char *line) {
    size_t wanted = strlen(line);
    for (char *at = text; *at;) {
        size_t len = strcspn(at, "\n"), whole = len + (at[len] != 0);
        if (len == wanted && !memcmp(at, line, len)) {
            memmove(at, at + whole, strlen(at + whole) + 1);
            return true;
        }
        at += whole;
    }
    return false;
}

static char *words(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *words(const char *format, ...) {
    char *text = NULL;
    va_list list;
    va_start(list, format);
    rf_assert(vasprintf(&text, format, list) >= 0);
    va_end(list);
    printable(text);
    return text;
}

static char *missed_by(struct printed *p, const struct lesson *l) {
    static const char *const who[] = {"the parent", "the child"};
    if (strstr(l->must, "child") && !p->child) return words("it starts no other process");
    if (strstr(l->must, "thread") && !p->thread) return words("it starts no thread");
    for (size_t i = 0; i < l->line_count; i++) {
        const struct lesson_output *o = &l->lines[i];
        if (!take_line(p->text[o->child], o->text))
            return words("%s does not print '%s'", who[o->child], o->text);
    }
    for (int i = 0; i < 2; i++)
        if (*p->text[i])
            return words("%s prints '%.*s', which it should not", who[i],
                         (int)(strcspn(p->text[i], "\n") < 200 ? strcspn(p->text[i], "\n") : 200),
                         p->text[i]);
    return NULL;
}

int printed_check(const char *trace, const struct lesson *l, char **missed, struct rf_error *err) {
    struct printed p = {0};
    for (int i = 0; i < 2; i++) {
        p.of[i] = open_memstream(&p.text[i], &p.size[i]);
        rf_assert(p.of[i]);
    }
    int failed = read_all(trace, &p, err);
    for (int i = 0; i < 2; i++)
        fclose(p.of[i]);
    *missed = failed ? NULL : missed_by(&p, l);
    free(p.text[0]);
    free(p.text[1]);
    return failed;
}

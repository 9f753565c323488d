#include "replayer/source_text.h"

#include "core/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
    char *path, *text;
    char **lines;
    int count;
};

struct source_text {
    struct trace_reader *reader;
    struct source *sources;
    size_t count;
};

enum { SOURCE_LIMIT = 16 << 20 };

static char *read_all(FILE *f) {
    char *text = NULL;
    size_t used = 0, room = 0;
    for (;;) {
        if (used + 65536 > room) {
            if (room > SOURCE_LIMIT) break;
            room = room ? room * 2 : 131072;
            char *more = realloc(text, room + 1);
            if (!more) break;
            text = more;
        }
        size_t n = fread(text + used, 1, room - used, f);
        used += n;
        if (!n) break;
    }
    if (text) text[used] = 0;
    return text;
}

static struct source *load(struct source_text *t, const char *path) {
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->sources[i].path, path)) return &t->sources[i];
    struct source *s = array_add(t->sources, t->count);
    s->path = strdup(path);
    char name[4200];
    snprintf(name, sizeof name, "source:%s", path);
    uint64_t blob = trace_blob_by_name(t->reader, name);
    struct rf_error err;
    int fd = blob ? trace_blob_fd(t->reader, blob, &err) : -1;
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    FILE *f = fopen(fd >= 0 ? link : path, "re");
    if (!f) return s;
    s->text = read_all(f);
    fclose(f);
    for (char *p = s->text; p && *p;) {
        char *end = strchr(p, '\n');
        array_push(s->lines, s->count, p);
        if (!end) break;
        *end = 0;
        p = end + 1;
    }
    return s;
}

struct source_text *source_text_new(struct trace_reader *reader) {
    struct source_text *t = calloc(1, sizeof *t);
    rf_assert(t);
    t->reader = reader;
    return t;
}

void source_text_free(struct source_text *t) {
    if (!t) return;
    for (size_t i = 0; i < t->count; i++) {
        free(t->sources[i].path);
        free(t->sources[i].text);
        free(t->sources[i].lines);
    }
    free(t->sources);
    free(t);
}

const char *source_text_line(struct source_text *t, const char *file, int line) {
    if (!file || file[0] != '/' || line < 1) return NULL;
    struct source *s = load(t, file);
    return line <= s->count ? s->lines[line - 1] : NULL;
}

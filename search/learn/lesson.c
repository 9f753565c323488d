#include "search/learn/lesson.h"

#include "core/array.h"
#include "core/path.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a lesson's file can say, and where it is kept: before the first "== " the heads, "name: value"; then texts.
static const struct field {
    const char *name;
    bool text, needed;
    size_t place;
} fields[] = {
#define FIELD(name, text, needed)                                                                            \
    { #name, text, needed, offsetof(struct lesson, name) }
    FIELD(title, false, true),        FIELD(program, false, true),  FIELD(fix, false, false),
    FIELD(environment, false, false), FIELD(library, false, false), FIELD(package, false, false),
    FIELD(expect, false, true),       FIELD(proof, false, false),   FIELD(exercise, false, false),
    FIELD(must, false, false),        FIELD(text, true, true),      FIELD(points, true, true),
    FIELD(question, true, true),      FIELD(look, true, true),      FIELD(repair, true, false),
    FIELD(task, true, false),         FIELD(output, true, false),
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof *fields };

struct reader {
    const char *path;
    int line;
    struct lesson *out;
    char **text;  // the one that lines are added to; NULL: before the first
    bool choices; // ... is the question: lines can be choices
    struct rf_error *err;
};

static char **place_of(struct lesson *l, const struct field *f) {
    return (char **)((char *)l + f->place);
}

static int bad(struct reader *r, const char *what, const char *text) {
    return rf_fail(r->err, RF_CANNOT, "%s '%.60s' in '%s', line %d: docs/learn.md describes lessons", what,
                   text, r->path, r->line);
}

// Adds a line of a text: lines of a paragraph are joined; an empty line ends it; one that begins with a blank or '-' is its own.
static void add_line(char **to, const char *line) {
    size_t len = strlen(*to);
    const char *last = len ? strrchr(*to, '\n') : NULL;
    last = last ? last + 1 : *to;
    bool own = *line == ' ' || *line == '-' || !*line;
    bool joins = len && *last && *last != ' ' && !own;
    char *grown = NULL;
    if (!len && !*line) return;
    rf_assert(asprintf(&grown, "%s%s%s", *to, !len ? "" : joins ? " " : "\n", line) >= 0);
    free(*to);
    *to = grown;
}

static void cut_end(char *text) {
    size_t len = strlen(text);
    while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
        text[--len] = 0;
}

static char *copy(const char *text) {
    char *made = strdup(text);
    rf_assert(made);
    return made;
}

static const struct field *field_named(const char *name, size_t len, bool text) {
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].text == text && strlen(fields[i].name) == len && !memcmp(fields[i].name, name, len))
            return &fields[i];
    return NULL;
}

static int read_head(struct reader *r, const char *line) {
    const char *colon = strchr(line, ':');
    if (!colon) return bad(r, "no 'name: value'", line);
    const char *value = colon + 1 + strspn(colon + 1, " ");
    size_t len = (size_t)(colon - line);
    if (len == 5 && !memcmp(line, "order", 5)) {
        char *end;
        r->out->order = strtol(value, &end, 10);
        return *end || end == value ? bad(r, "no number", value) : 0;
    }
    const struct field *f = field_named(line, len, false);
    if (!f) return bad(r, "unknown head", line);
    char **to = place_of(r->out, f);
    if (**to) return bad(r, "a second head", line);
    free(*to);
    *to = copy(value);
    return 0;
}

static int begin_text(struct reader *r, const char *name) {
    const struct field *f = field_named(name, strlen(name), true);
    if (!f) return bad(r, "unknown text", name);
    r->text = place_of(r->out, f);
    if (**r->text) return bad(r, "a second text", name);
    r->choices = !strcmp(name, "question");
    return 0;
}

// "- a wrong choice", "+ the right one", and what is said of it in the lines below, which are indented.
static int read_choice(struct reader *r, const char *line) {
    struct lesson *l = r->out;
    if (*line == '-' || *line == '+') {
        if (l->choice_count == LESSON_CHOICES) return bad(r, "too many choices:", line);
        l->choices[l->choice_count++] = (struct lesson_choice){
            .text = copy(line + 1 + strspn(line + 1, " ")), .why = copy(""), .right = *line == '+'};
    } else if (l->choice_count && *line) {
        add_line(&l->choices[l->choice_count - 1].why, line + strspn(line, " "));
    } else if (*line) {
        add_line(r->text, line);
    }
    return 0;
}

static int read_line(struct reader *r, char *line) {
    if (*line == '#') return 0;
    if (!strncmp(line, "== ", 3)) return begin_text(r, line + 3);
    if (r->text && r->choices) return read_choice(r, line);
    if (r->text) add_line(r->text, line);
    return r->text || !*line ? 0 : read_head(r, line);
}

// "parent TEXT" and "child TEXT", one line of output each
static int read_output(struct reader *r) {
    struct lesson *l = r->out;
    for (char *at = l->output; *at;) {
        size_t len = strcspn(at, "\n");
        char *next = at + len + (at[len] != 0);
        at[len] = 0;
        at += strspn(at, " ");
        bool child = !strncmp(at, "child ", 6);
        if (!child && strncmp(at, "parent ", 7)) return bad(r, "neither 'parent' nor 'child':", at);
        if (l->line_count == LESSON_LINES) return bad(r, "too many lines of output:", at);
        l->lines[l->line_count++] = (struct lesson_output){child, at + (child ? 6 : 7)};
        at = next;
    }
    return 0;
}

static int check(struct reader *r) {
    struct lesson *l = r->out;
    size_t right = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].text) cut_end(*place_of(l, &fields[i]));
        if (fields[i].needed && !**place_of(l, &fields[i])) return bad(r, "missing:", fields[i].name);
    }
    for (size_t i = 0; i < l->choice_count; i++) {
        right += l->choices[i].right;
        cut_end(l->choices[i].why);
        if (!*l->choices[i].why) return bad(r, "no reason for the choice", l->choices[i].text);
    }
    if (right != 1) return bad(r, "not exactly one right choice:", l->question);
    if (*l->proof && strcmp(l->proof, "verify")) return bad(r, "no such proof:", l->proof);
    if (*l->fix && !*l->repair) return bad(r, "missing:", "repair");
    if (*l->exercise && (!*l->task || !*l->output)) return bad(r, "missing:", "task or output");
    return read_output(r);
}

static void begin(struct lesson *l, const char *path) {
    *l = (struct lesson){.name = copy(base_name(path))};
    char *dot = strrchr(l->name, '.');
    if (dot) *dot = 0;
    for (size_t i = 0; i < FIELDS; i++)
        *place_of(l, &fields[i]) = copy("");
}

int lesson_read(const char *path, struct lesson *out, struct rf_error *err) {
    struct reader r = {.path = path, .out = out, .err = err};
    FILE *file = fopen(path, "re");
    if (!file) return rf_fail_errno(err, RF_CANNOT, "cannot read the lesson '%s'", path);
    begin(out, path);
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    int failed = 0;
    while (!failed && (len = getline(&line, &room, file)) >= 0) {
        r.line++;
        while (len && (line[len - 1] == '\n' || line[len - 1] == ' '))
            line[--len] = 0;
        failed = read_line(&r, line);
    }
    if (!failed) failed = check(&r);
    free(line);
    fclose(file);
    if (failed) lesson_release(out);
    return failed;
}

void lesson_release(struct lesson *l) {
    free(l->name);
    for (size_t i = 0; i < FIELDS; i++)
        free(*place_of(l, &fields[i]));
    for (size_t i = 0; i < l->choice_count; i++) {
        free(l->choices[i].text);
        free(l->choices[i].why);
    }
    *l = (struct lesson){0};
}

static int by_order(const void *a, const void *b) {
    const struct lesson *x = a, *y = b;
    return x->order != y->order ? (x->order < y->order ? -1 : 1) : strcmp(x->name, y->name);
}

int lessons_read(const char *root, struct lessons *out, struct rf_error *err) {
    char pattern[4096];
    glob_t found = {0};
    *out = (struct lessons){0};
    if (snprintf(pattern, sizeof pattern, "%s/samples/learn/*.lesson", root) >= (int)sizeof pattern)
        return rf_fail(err, RF_CANNOT, "name '%.80s...' is too long", root);
    int failed = 0;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && !failed; i++) {
            struct lesson one;
            failed = lesson_read(found.gl_pathv[i], &one, err);
            if (!failed) *array_add(out->v, out->count) = one;
        }
    globfree(&found);
    if (!failed && !out->count)
        failed =
            rf_fail(err, RF_CANNOT, "no lessons in '%s/samples/learn': 'make install' puts them there", root);
    if (failed)
        lessons_release(out);
    else
        qsort(out->v, out->count, sizeof *out->v, by_order);
    return failed;
}

void lessons_release(struct lessons *l) {
    for (size_t i = 0; i < l->count; i++)
        lesson_release(&l->v[i]);
    free(l->v);
    *l = (struct lessons){0};
}

const struct lesson *lessons_find(const struct lessons *l, const char *name) {
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->v[i].name, name)) return &l->v[i];
    return NULL;
}

#include "replayer/names/script.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

static bool same_module(const struct frame *a, const struct frame *b) {
    return a->module && b->module && !strcmp(a->module, b->module);
}

// The interpreter's way from byte code to what it calls.
static bool is_a_call(const char *function) {
    static const char *const begins[] = {"PyObject_", "_PyObject_", "_PyFunction_", "PyEval_EvalCode"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!strncmp(function, begins[i], strlen(begins[i]))) return true;
    return false;
}

static size_t put_script(const struct frame *loop, struct frame *out, size_t max) {
    size_t n = 0;
    for (; n < loop->script_count && n < max; n++) {
        out[n] = *loop;
        out[n].function = (char *)loop->script[n].function;
        out[n].file = (char *)loop->script[n].file;
        out[n].line = loop->script[n].line;
        out[n].script = NULL;
        out[n].script_count = 0;
        out[n].of_script = true;
    }
    return n;
}

static struct frame as_shown(const struct frame *f) {
    struct frame out = *f;
    if (f->lambda) out.function = (char *)f->lambda;
    return out;
}

size_t script_frames(const struct frame *frames, size_t n, struct frame *out, size_t max) {
    const struct frame *loop = NULL;
    for (size_t i = 0; i < n && !loop; i++)
        if (frames[i].script) loop = &frames[i];
    size_t written = 0;
    bool named = false; // a function of the interpreter's is shown
    for (size_t i = 0; i < n && written < max; i++) {
        const struct frame *f = &frames[i];
        if (f->script) {
            written += put_script(f, out + written, max - written);
            named = true;
        } else if (!loop || !same_module(f, loop)) {
            out[written++] = as_shown(f);
        } else if (f->function && !named && !is_a_call(f->function)) {
            out[written++] = as_shown(f);
            named = true;
        }
    }
    return written;
}

struct stack script_stack(const struct stack *s) {
    size_t most = s->count;
    for (size_t i = 0; i < s->count; i++)
        most += s->frames[i].script_count;
    struct stack out = {0};
    if (!most) return out;
    out.frames = malloc(most * sizeof *out.frames);
    rf_assert(out.frames);
    out.count = script_frames(s->frames, s->count, out.frames, most);
    return out;
}

bool script_is_own(const struct frame *f) {
    static const char *const libraries[] = {"/lib/python3", "/site-packages/", "/dist-packages/"};
    if (!f->of_script || !f->file || f->file[0] == '<') return false; // "<frozen importlib._bootstrap>"
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (strstr(f->file, libraries[i])) return false;
    return true;
}

static bool has_line(const struct frame *f) {
    return f->file && f->line > 0;
}

size_t script_focus_index(const struct frame *shown, size_t n, bool lines) {
    const struct stack s = {(struct frame *)shown, n};
    size_t first, last;
    stack_own_part(&s, &first, &last);
    for (size_t i = first; i < last; i++)
        if (script_is_own(&shown[i])) return i;
    for (size_t i = first; i < last; i++)
        if (stack_is_own(&shown[i]) && (!lines || has_line(&shown[i]))) return i;
    for (size_t i = first; i < last && lines; i++)
        if (has_line(&shown[i])) return i;
    return first < n ? first : 0;
}

struct frame script_focus(const struct stack *s, bool lines) {
    struct stack shown = script_stack(s);
    struct frame f = shown.frames[script_focus_index(shown.frames, shown.count, lines)];
    free(shown.frames);
    return f;
}

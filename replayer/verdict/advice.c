#include "replayer/verdict/advice.h"

#include "core/error.h"
#include "core/fill.h"
#include "replayer/names/short_name.h"
#include "replayer/verdict/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum when {
    ALWAYS,
    NAMED,       // the function that waits has a name, and is not main
    GIL,         // CPython's interpreter lock
    GSCOPE,      // the flag of glibc's look-ups
    LIBC,        // a lock of libc's own
    LIBC_NAMED,  // the same, and the function that waits has a name
    GO,          // the wait is the Go runtime's
    PYTHON_LOCK, // a lock of Python's own
    PYTHON,      // the wait is in a Python program
    NOBODY,      // no holder is known
    MUTEX,
    SYSV,
    KILLED, // the holder was killed
};

static const struct row {
    enum advice advice;
    enum when when;
    bool handlers;
    const char *text;
} rows[] = {
#define ADVICE(advice, when, handlers, text) {ADVICE_##advice, when, handlers, text},
#include "replayer/verdict/advice.def"
#undef ADVICE
};

// The innermost function that a user would know: not libc's, not libstdc++'s wrappers (std::, __gthread_). NULL: it has
// no name.
static const char *waiting_function(const struct finding *f) {
    for (size_t i = 0; i < f->waiting.stack.count; i++) {
        const struct frame *frame = &f->waiting.stack.frames[i];
        if (stack_is_libc(frame) || (frame->file && !stack_is_own(frame))) continue;
        if (!frame->function) break;
        if (frame->lambda) return frame->lambda;
        if (frame->function[0] == '_' || !strncmp(frame->function, "std::", 5) ||
            !strncmp(frame->function, "void std::", 10))
            continue;
        return frame->function;
    }
    return NULL;
}

static bool runs_python(const struct stack *s) {
    for (size_t i = 0; i < s->count; i++) {
        const char *module = s->frames[i].module;
        if (module && (!strncmp(module, "python3", 7) || !strncmp(module, "libpython3", 10))) return true;
    }
    return false;
}

static bool holds(enum when when, const struct finding *f, const struct lock_ref *ref) {
    const char *function = waiting_function(f);
    switch (when) {
    case ALWAYS:
        return true;
    case NAMED:
        return function && strcmp(function, "main") != 0;
    case GIL:
        return ref->kind == KIND_GIL;
    case GSCOPE:
        return ref->kind == KIND_GSCOPE;
    case LIBC:
        return ref->in_libc;
    case LIBC_NAMED:
        return ref->in_libc && function;
    case GO:
        return ref->wants == WANTS_GO;
    case PYTHON_LOCK:
        return ref->kind == KIND_PYTHON_LOCK;
    case PYTHON:
        return runs_python(&f->waiting.stack);
    case NOBODY:
        return !f->holder.tid;
    case MUTEX:
        return ref->kind == KIND_MUTEX;
    case SYSV:
        return ref->kind == KIND_SYSV_SEM;
    case KILLED:
        return f->end.how == END_KILLED;
    }
    return false;
}

static const struct row *find_row(enum advice which, const struct finding *f, const struct lock_ref *ref) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].advice == which && holds(rows[i].when, f, ref)) return &rows[i];
    return NULL;
}

__attribute__((format(printf, 2, 3))) static void say(struct finding *f, const char *format, ...) {
    size_t used = strlen(f->advice);
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->advice + used, sizeof f->advice - used, format, ap);
    va_end(ap);
}

// What an advice is about.
struct about {
    const struct finding *f;
    const struct lock_ref *ref;
};

static void short_function(const char *function, char *out, size_t size) {
    snprintf(out, size, "%s", function ? function : "the function");
    short_name(out, SHORT_NAME_COLUMNS);
}

static void word_of(const void *context, const char *name, char *out, size_t size) {
    const struct about *a = context;
    const char *routine = a->f->holder.start_routine, *function = waiting_function(a->f);
    if (!strcmp(name, "lock"))
        snprintf(out, size, "%s", text_the_lock(a->f));
    else if (!strcmp(name, "data"))
        snprintf(out, size, "%s", a->f->lock.symbol[0] ? a->f->lock.symbol : "the data");
    else if (!strcmp(name, "kind"))
        snprintf(out, size, "%s", a->ref->kind == KIND_SEM ? "semaphore" : lock_kind_name(a->ref->kind));
    else if (!strcmp(name, "thread"))
        snprintf(out, size, routine[0] ? "'%s'" : "that thread", routine);
    else if (!strcmp(name, "routine"))
        snprintf(out, size, "%s", routine[0] ? routine : "the thread");
    else if (!strcmp(name, "function"))
        short_function(function, out, size);
    else if (!strcmp(name, "way"))
        fill_text(out, size, find_row(ADVICE_DEAD_WAY, a->f, a->ref)->text, word_of, a);
}

void advice_give(struct finding *f, enum advice which, const struct lock_ref *ref, size_t waiters) {
    static const struct lock_ref nothing = {.rule = RULE_NONE};
    const struct row *row = find_row(which, f, ref ? ref : &nothing);
    rf_assert(row);
    f->advises_handlers = row->handlers;
    const struct about about = {f, ref ? ref : &nothing};
    fill_text(f->advice, sizeof f->advice, row->text, word_of, &about);
    if (waiters == 1) say(f, "One more task waits for the same.\n");
    if (waiters > 1) say(f, "%zu more tasks wait for the same.\n", waiters);
}

void advice_add_handlers(struct finding *f, const char *text, size_t count, size_t shown) {
    if (!f->advises_handlers) return;
    if (!count) {
        say(f, "No fork handlers are registered now.\n");
        return;
    }
    say(f,
        "Registered now, in this order (prepare, parent, child; prepare handlers run from the last to the "
        "first): %s",
        text);
    if (count > shown) say(f, " and %zu more", count - shown);
    say(f, ".\n");
}

#include "replayer/names/stack.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stack stack_of(const struct frame *frames, size_t count) {
    struct stack s = {0};
    if (!count) return s;
    s.frames = malloc(count * sizeof *frames);
    rf_assert(s.frames);
    memcpy(s.frames, frames, count * sizeof *frames);
    s.count = count;
    return s;
}

struct stack stack_copy(const struct stack *s) {
    return stack_of(s->frames, s->count);
}

static bool begins(const char *name, const char *with) {
    return !strncmp(name, with, strlen(with));
}

const char *stack_plain_name(const char *name) {
    while (*name == '_')
        name++;
    if (!strncmp(name, "GI_", 3)) name += 3;
    while (*name == '_')
        name++;
    return name;
}

bool frame_is_system(const struct frame *f) {
    static const char *const modules[] = {"libc.so", "libc-", "ld-linux", "ld-musl", "libpthread", "[vdso]"};
    if (f->library && !strncmp(f->library, "libc.", 5)) return true;
    if (!f->module) return false;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (!strncmp(f->module, modules[i], strlen(modules[i]))) return true;
    return false;
}

// What runs before main and before a thread's start routine; in static programs it is not in a module of its
// own.
static bool is_start(const struct frame *f) {
    static const char *const names[] = {"_start",
                                        "__libc_start_main",
                                        "__libc_start_main_impl",
                                        "__libc_start_call_main",
                                        "start_thread",
                                        "clone",
                                        "clone3",
                                        "__clone",
                                        "__clone3",
                                        "_start_c",
                                        "libc_start_main_stage2"};
    if (!f->function) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(f->function, names[i])) return true;
    return false;
}

void stack_own_part(const struct stack *s, size_t *first, size_t *last) {
    *first = 0;
    *last = s->count;
    while (*first < s->count && frame_is_system(&s->frames[*first]))
        ++*first;
    while (*last > *first && (is_start(&s->frames[*last - 1]) || frame_is_system(&s->frames[*last - 1])))
        --*last;
}

bool stack_is_libc(const struct frame *f) {
    if (f->library && begins(f->library, "libc.")) return true;
    return f->module && (begins(f->module, "libc.so") || begins(f->module, "libc-") ||
                         begins(f->module, "libpthread") || begins(f->module, "ld-linux"));
}

bool stack_in_fork(const struct frame *frames, size_t n) {
    static const char *const names[] = {"fork", "libc_fork", "run_fork_handlers", "run_prefork_handlers",
                                        "run_postfork_handlers"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; frames[i].function && k < sizeof names / sizeof *names; k++)
            if (!strcmp(stack_plain_name(frames[i].function), names[k])) return true;
    return false;
}

static bool is_in(const struct frame *f, const char *module, const char *library) {
    return (f->module && begins(f->module, module)) || (f->library && begins(f->library, library));
}

bool stack_is_whole(const struct stack *s) {
    static const char *const first[] = {
        "start_thread", "clone", "clone3", "start", "libc_start_main", "libc_start_main_stage2", "start_c"};
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; s->frames[i].function && k < sizeof first / sizeof *first; k++)
            if (!strcmp(stack_plain_name(s->frames[i].function), first[k])) return true;
    return false;
}

// "void f<int>(char*)" without its parameters; "operator()" and "(anonymous namespace)" stay.
static void without_parameters(char *name) {
    size_t length = strlen(name);
    if (!length || name[length - 1] != ')') return;
    int depth = 0;
    for (size_t i = length; i-- > 1;) {
        depth += name[i] == ')';
        depth -= name[i] == '(';
        if (depth) continue;
        bool call = i >= 8 && !strncmp(name + i - 8, "operator", 8);
        if (!call) name[i] = 0;
        return;
    }
}

// What runs a thread before the program's own code: no part of it, although it may be linked into it.
static bool runs_threads(const struct stack *s, size_t i) {
    static const char *const outside[] = {"start_thread",
                                          "clone",
                                          "clone3",
                                          "thread_start",
                                          "execute_native_thread_routine",
                                          "runtime.clone",
                                          "runtime.clone.abi0"};
    const struct frame *f = &s->frames[i];
    const char *name = stack_plain_name(f->function);
    // musl's, called by its clone
    if (!strcmp(name, "start") && i + 1 < s->count && s->frames[i + 1].function &&
        !strcmp(s->frames[i + 1].function, "__clone"))
        return true;
    for (size_t k = 0; k < sizeof outside / sizeof *outside; k++)
        if (!strcmp(name, outside[k])) return true;
    // libstdc++'s wrappers (std::async's threads come by __gthread_once), and Rust's
    static const char *const wrappers[] = {"std::",  "void std::", "__gthread_", "__invoke",
                                           "core::", "alloc::",    "<alloc::",   "<core::"};
    for (size_t k = 0; k < sizeof wrappers / sizeof *wrappers; k++)
        if (begins(f->function, wrappers[k])) return true;
    return false;
}

void stack_start_routine(const struct stack *s, char *out, size_t size) {
    *out = 0;
    for (size_t i = s->count; i-- > 0;) {
        const struct frame *f = &s->frames[i];
        bool library = stack_is_libc(f) || is_in(f, "libstdc++", "libstdc++");
        if (library || !f->module) continue;
        if (!f->function) return;
        if (runs_threads(s, i)) continue;
        snprintf(out, size, "%s", f->function);
        without_parameters(out);
        return;
    }
}

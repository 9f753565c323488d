#include "replayer/names/stack.h"

#include "core/error.h"
#include "replayer/names/short_name.h"

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

bool stack_is_musl(const struct frame *f) {
    return f->module && (begins(f->module, "ld-musl") || !strcmp(f->module, "libc.so"));
}

bool stack_is_libc(const struct frame *f) {
    static const char *const modules[] = {"libc.so", "libc-", "libpthread", "ld-linux", "ld-musl"};
    if (f->library && begins(f->library, "libc.")) return true;
    for (size_t i = 0; f->module && i < sizeof modules / sizeof *modules; i++)
        if (begins(f->module, modules[i])) return true;
    return false;
}

bool stack_is_system(const struct frame *f) {
    return stack_is_libc(f) || (f->module && begins(f->module, "[vdso]"));
}

bool stack_is_own(const struct frame *f) {
    // (Of Rust's own libraries the paths are those of the machine that built them.)
    static const char *const folders[] = {"/usr/include/", "/usr/lib/", "/usr/local/include/",
                                          "/usr/local/lib/", "/rustc/"};
    if (f->of_script || stack_is_system(f) || f->of_system || f->library) return false;
    for (size_t i = 0; f->file && i < sizeof folders / sizeof *folders; i++)
        if (begins(f->file, folders[i])) return false;
    return f->module && !(f->file && strstr(f->file, "/.cargo/registry/"));
}

// ---- fork

bool stack_is_fork(const char *name) {
    const char *plain = stack_plain_name(name);
    return !strcmp(plain, "fork") || !strcmp(plain, "libc_fork");
}

bool stack_in_fork(const struct frame *frames, size_t n) {
    static const char *const handlers[] = {"run_fork_handlers", "run_prefork_handlers",
                                           "run_postfork_handlers"};
    for (size_t i = 0; i < n; i++) {
        const char *name = frames[i].function;
        if (name && stack_is_fork(name)) return true;
        for (size_t k = 0; name && k < sizeof handlers / sizeof *handlers; k++)
            if (!strcmp(stack_plain_name(name), handlers[k])) return true;
    }
    return false;
}

// ---- where a stack begins

// What runs before main or a thread's start routine; in static programs it is not in a module of its own. glibc, musl,
// libstdc++, Go. By stack_plain_name: "start" is the ELF entry _start, and musl's start of a thread.
enum {
    FIRST = 1,   // a whole stack has it
    OUTSIDE = 2, // no part of the program
    THREAD = 4,  // of a thread other than the first one
};
static const struct {
    const char *name;
    int parts;
} starts[] = {
    {"start", FIRST},
    {"start_c", FIRST | OUTSIDE},
    {"libc_start_main", FIRST | OUTSIDE},
    {"libc_start_main_impl", OUTSIDE},
    {"libc_start_call_main", OUTSIDE},
    {"libc_start_main_stage2", FIRST | OUTSIDE},
    {"start_thread", FIRST | OUTSIDE | THREAD},
    {"clone", FIRST | OUTSIDE | THREAD},
    {"clone3", FIRST | OUTSIDE | THREAD},
    {"thread_start", THREAD},
    {"execute_native_thread_routine", THREAD},
    {"runtime.clone", THREAD},
    {"runtime.clone.abi0", THREAD},
};

static int parts_of(const struct frame *f) {
    if (!f->function) return 0;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (!strcmp(stack_plain_name(f->function), starts[i].name)) return starts[i].parts;
    return 0;
}

static bool is_outside(const struct frame *f) {
    return stack_is_system(f) || (parts_of(f) & OUTSIDE) || (f->function && !strcmp(f->function, "_start"));
}

bool stack_is_whole(const struct stack *s) {
    for (size_t i = 0; i < s->count; i++)
        if (parts_of(&s->frames[i]) & FIRST) return true;
    return false;
}

// What stands between a thread's begin and the callable that std::thread or std::async was given (its threads come by
// __gthread_once), and Rust's.
static bool is_wrapper(const struct frame *f) {
    static const char *const wrappers[] = {"std::",  "void std::", "__gthread_", "__invoke",
                                           "core::", "alloc::",    "<alloc::",   "<core::"};
    if (!f->function || f->lambda) return false;
    for (size_t k = 0; k < sizeof wrappers / sizeof *wrappers; k++)
        if (begins(f->function, wrappers[k])) return true;
    // Templates begin with the type that they return: "int std::__invoke_impl<int, ...".
    return strstr(f->function, " std::__invoke") != NULL;
}

// libstdc++'s first function of a thread, which without its symbols has no name; others' by their names.
static bool begins_thread(const struct frame *f) {
    return (parts_of(f) & THREAD) || (!f->function && f->module && begins(f->module, "libstdc++"));
}

void stack_own_part(const struct stack *s, size_t *first, size_t *last) {
    *first = 0;
    *last = s->count;
    while (*first < s->count && stack_is_system(&s->frames[*first]))
        ++*first;
    while (*last > *first && is_outside(&s->frames[*last - 1]))
        --*last;
    // A std::thread's way to what it was given is not the program's, unless it was given a function of the library.
    size_t end = *last;
    if (end && begins_thread(&s->frames[end - 1]))
        while (end > *first && (is_wrapper(&s->frames[end - 1]) || is_outside(&s->frames[end - 1]) ||
                                begins_thread(&s->frames[end - 1])))
            end--;
    if (end > *first) *last = end;
}

bool stack_in_handler(const struct stack *s, const struct frame **handler, const struct frame **interrupted) {
    for (size_t i = 1; i + 1 < s->count; i++) {
        // The kernel makes it a handler's return address: of glibc and of musl.
        if (!s->frames[i].function || strcmp(stack_plain_name(s->frames[i].function), "restore_rt")) continue;
        *handler = &s->frames[i - 1];
        *interrupted = &s->frames[i + 1];
        return true;
    }
    return false;
}

static bool is_in(const struct frame *f, const char *module, const char *library) {
    return (f->module && begins(f->module, module)) || (f->library && begins(f->library, library));
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
    const struct frame *f = &s->frames[i];
    const char *name = stack_plain_name(f->function);
    // musl's, called by its clone
    if (!strcmp(name, "start") && i + 1 < s->count && s->frames[i + 1].function &&
        !strcmp(s->frames[i + 1].function, "__clone"))
        return true;
    if (parts_of(f) & THREAD) return true;
    return is_wrapper(f);
}

void stack_start_routine(const struct stack *s, char *out, size_t size) {
    *out = 0;
    for (size_t i = s->count; i-- > 0;) {
        const struct frame *f = &s->frames[i];
        bool library = stack_is_libc(f) || is_in(f, "libstdc++", "libstdc++");
        if (library || !f->module) continue;
        if (!f->function) return;
        if (runs_threads(s, i)) continue;
        if (f->lambda) {
            snprintf(out, size, "%s", f->lambda);
            return;
        }
        snprintf(out, size, "%s", f->function);
        without_parameters(out);
        short_name(out, SHORT_NAME_COLUMNS);
        return;
    }
}

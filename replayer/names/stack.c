#include "replayer/names/stack.h"

#include <string.h>

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

// A thread that looks up a symbol says so by a flag beside its stack (glibc's gscope); dlclose waits until nobody does. fork() does not
// clear the flag of a thread that vanishes in the middle of a look-up. The child's own thread gets that stack, with the
// flag, and never looks anything up: dlclose waits for it.
//
// expect: orphaned-lock confidence=likely lockkind=look-up_flag_of_a_thread holder=worker start=look_up
//         acquired=look_up waiting=run_child/dlclose fork=main/fork
// status: 120
#include "samples/stage.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static char *
    page; // of the table by which a symbol of libm is found: it comes late, a fault handler stands for a slow disk

static void page_comes(int unused) {
    (void)unused;
    hold_over_fork();
    mprotect(page, 4096, PROT_READ);
}

static void *look_up(void *unused) {
    (void)unused;
    thread_name("worker");
    dlsym(RTLD_DEFAULT, "lgammaf32x");
    return NULL;
}

static void *idle(void *unused) {
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

static void run_child(void) {
    mprotect(page, 4096, PROT_READ);
    thread_start(idle);
    void *library = dlopen("libanl.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (library) dlclose(library);
    say("child: done"); // never comes
    _exit(0);
}

static char *hash_table(void *library) {
    struct link_map *map = library;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_GNU_HASH) return (char *)(d->d_un.d_ptr & ~(uintptr_t)4095);
    return NULL;
}

int main(void) {
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
    page = library ? hash_table(library) : NULL;
    if (!page || signal(SIGSEGV, page_comes) == SIG_ERR || mprotect(page, 4096, PROT_NONE)) return 1;
    gate_open(&settled); // the first call of a function is a look-up itself: not in the handler
    gate_wait(&settled);
    thread_start(look_up);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// glibc's flag of a thread that looks up a symbol (gscope), which a fork leaves set beside the stack of a thread that vanished in the
// middle of one: dlclose in the child waits for whoever got that stack. Argument: what that new thread does.
//
// case idle: orphaned-lock confidence=proved lockkind=look-up_flag_of_a_thread lock=the_look-up_flag_of_* holder=worker start=look_up
// case later: orphaned-lock confidence=proved lockkind=look-up_flag_of_a_thread holder=worker start=look_up
// case before: none
#include "samples/stage.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static char *page;
static const char *what = "";

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

// Its own look-up clears the flag that it was born with, but wakes nobody who waits already.
static void *in_child(void *unused) {
    (void)unused;
    if (!strcmp(what, "before")) dlsym(RTLD_DEFAULT, "cosf32x");
    gate_open(&settled);
    if (!strcmp(what, "later")) {
        usleep(100000);
        sched_yield(); // its first call: the loader looks it up
    }
    for (;;)
        pause();
    return NULL;
}

static int run_child(void) {
    mprotect(page, 4096, PROT_READ);
    thread_start(in_child);
    gate_wait(&settled);
    void *library = dlopen("libanl.so.1", RTLD_NOW | RTLD_GLOBAL);
    return library ? dlclose(library) : 1;
}

static char *hash_table(void *library) {
    struct link_map *map = library;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_GNU_HASH) return (char *)(d->d_un.d_ptr & ~(uintptr_t)4095);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) what = argv[1];
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
    page = library ? hash_table(library) : NULL;
    if (!page || signal(SIGSEGV, page_comes) == SIG_ERR || mprotect(page, 4096, PROT_NONE)) return 1;
    gate_open(&settled); // the first call of a function is a look-up itself: not in the handler
    gate_wait(&settled);
    thread_start(look_up);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) _exit(run_child());
    gate_open(&forked);
    return reap(child);
}

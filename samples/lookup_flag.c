// glibc's loader marks a thread that looks up a symbol (gscope), and dlclose waits until none does. A thread vanishes at the fork in
// the middle of a look-up; the child's first thread gets its stack, and the mark with it: dlclose waits for a thread that looks up
// nothing. (The look-up is held in the middle by taking a page of the library's hash table away.)
//
// expect: orphaned-lock confidence=proved lockkind=look-up_flag_of_a_thread lock=the_look-up_flag_of_* holder=worker start=look_up
// expect: cross-process-wait cause=orphaned-lock waiting=main
// status: 120
#include "samples/stage.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static char *page;

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

static void *in_child(void *unused) {
    (void)unused;
    gate_open(&settled);
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

int main(void) {
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

// The loader renews two of its three locks in the child of a fork; dl_load_write_lock is not one of them.
// Whoever walks over the loaded modules holds it (profilers, crash reporters), and dlopen in the child
// waits for it.
//
// expect: orphaned-lock confidence=proved lock=_rtld_global* lockkind=pthread_mutex holder=worker
//         start=profile acquired=profile/dl_iterate_phdr waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <dlfcn.h>
#include <link.h>

static int look_at(struct dl_phdr_info *module, size_t size, void *unused) {
    (void)module, (void)size, (void)unused;
    hold_over_fork();
    return 1;
}

static void *profile(void *unused) {
    (void)unused;
    thread_name("worker");
    dl_iterate_phdr(look_at, NULL);
    return NULL;
}

static void run_child(void) {
    dlopen("libm.so.6", RTLD_NOW);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(profile);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// random() and its relatives share a lock. initstate() fills its argument with the lock held, and the
// memory given to it comes late: a fault handler stands for a slow page.
//
// expect: orphaned-lock confidence=proved lock=lock lockkind=libc_lock holder=worker start=seed
//         acquired=seed/initstate waiting=run_child/random fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <signal.h>
#include <sys/mman.h>

static char *state;

static void page_comes(int unused) {
    (void)unused;
    hold_over_fork();
    mprotect(state, 4096, PROT_READ | PROT_WRITE);
}

static void *seed(void *unused) {
    (void)unused;
    thread_name("worker");
    initstate(1, state, 128);
    return NULL;
}

static void run_child(void) {
    random();
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    state = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED || signal(SIGSEGV, page_comes) == SIG_ERR) return 1;
    thread_start(seed);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// pthread_once of musl does not know about fork(): an initialisation that a vanished thread had begun never
// ends.
//
// expect: orphaned-lock lock=tables_once lockkind=pthread_once holder=worker start=compute acquired=compute
//         waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
    hold_over_fork();
}

static void *compute(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_once(&tables_once, make_tables);
    return NULL;
}

static void run_child(void) {
    pthread_once(&tables_once, make_tables);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(compute);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

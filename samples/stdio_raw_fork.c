// fork() gives the child fresh locks for all streams. _Fork() does nothing of the kind (nor does a raw
// clone): a stream that another thread is printing to stays locked.
//
// expect: orphaned-lock confidence=proved lockkind=FILE_lock holder=worker start=print_table
//         acquired=print_table/flockfile waiting=run_child fork=main/Fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <stdio.h>

static void *print_table(void *unused) {
    (void)unused;
    thread_name("worker");
    flockfile(stdout);
    hold_over_fork();
    funlockfile(stdout);
    return NULL;
}

static void run_child(void) {
    puts("child: hello");
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(print_table);
    gate_wait(&held);
    say("main: fork");
    pid_t child = _Fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

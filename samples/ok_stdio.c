// glibc's fork() takes care of its own streams: another thread is in the middle of printing, and the child
// prints all the same. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdio.h>

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    flockfile(stdout);
    hold_over_fork();
    funlockfile(stdout);
    return NULL;
}

static void run_child(void) {
    puts("child: hello");
    fflush(stdout);
    say("child: done");
    _exit(0);
}

int main(void) {
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

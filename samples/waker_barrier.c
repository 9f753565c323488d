// Two threads are to meet at a barrier; after the fork only one of them is left.
//
// expect: vanished-waker lock=phase_end waker=worker lockkind=pthread_barrier
//         waiting=run_child/pthread_barrier_wait fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

static pthread_barrier_t phase_end;

static void *compute(void *unused) {
    (void)unused;
    thread_name("worker");
    hold_over_fork();
    pthread_barrier_wait(&phase_end);
    return NULL;
}

static void run_child(void) {
    pthread_barrier_wait(&phase_end);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    pthread_barrier_init(&phase_end, NULL, 2);
    thread_start(compute);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_barrier_wait(&phase_end);
    return reap(child);
}

// A semaphore that counts what a producer made; the producer vanished at the fork.
//
// expect: vanished-waker lock=made waker=producer lockkind=sem waiting=run_child fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <semaphore.h>

static sem_t made; // 0 at first

static void *produce(void *unused) {
    (void)unused;
    thread_name("producer");
    hold_over_fork();
    sem_post(&made);
    return NULL;
}

static void run_child(void) {
    sem_wait(&made);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(produce);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    sem_wait(&made);
    return reap(child);
}

// A fork handler ends the pool's worker. A thread that polls for the worker's answer polls for ever, and main, which waits for
// that thread to end, with it: the polling thread is the first to blame, and whom it waits for is named.
//
// expect: dead-holder confidence=likely lock=answered waker=worker name=asker waiting=ask
// status: 120
#include "samples/stage.h"

#include <sched.h>

static pthread_t worker;
static volatile int setting = 1, asked, answered, over;

static void *work(void *unused) {
    (void)unused;
    thread_name("worker");
    while (!over) {
        if (asked) {
            asked = 0;
            answered = setting;
            gate_open(&held);
        }
        usleep(1000);
    }
    return NULL;
}

static void *ask(void *unused) {
    (void)unused;
    thread_name("asker");
    for (int i = 0; i < 2; i++) {
        asked = 1;
        answered = 0;
        while (!answered)
            sched_yield();
        gate_wait(&forked);
    }
    return NULL;
}

static void stop_worker(void) {
    over = 1;
    pthread_join(worker, NULL);
}

int main(void) {
    pthread_atfork(stop_worker, NULL, NULL);
    worker = thread_start(work);
    pthread_t asker = thread_start(ask);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) _exit(0);
    reap(child);
    gate_open(&forked);
    pthread_join(asker, NULL);
    return 0;
}

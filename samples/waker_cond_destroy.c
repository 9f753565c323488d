// The child tidies up: pthread_cond_destroy waits until all waiters have left. A vanished thread is counted
// as a waiter and never leaves.
//
// expect: vanished-waker lock=job_there waker=worker lockkind=pthread_cond
//         waiting=run_child/pthread_cond_destroy fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

static pthread_mutex_t job_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_there = PTHREAD_COND_INITIALIZER;
static int jobs;

static void *work(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&job_mutex);
    for (;;) {
        gate_open(&held);
        while (!jobs)
            pthread_cond_wait(&job_there, &job_mutex);
        jobs--;
    }
    return NULL;
}

static void run_child(void) {
    pthread_cond_destroy(&job_there);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(work);
    gate_wait(&held);
    pthread_mutex_lock(&job_mutex); // free again: the worker is inside pthread_cond_wait
    pthread_mutex_unlock(&job_mutex);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}

// Even pthread_cond_signal can hang in a child: a vanished waiter still counts as a member of its group of
// waiters, and a later signal waits until that group is empty. The child starts a worker of its own on the
// old condition.
//
// expect: vanished-waker lock=job_there waker=worker lockkind=pthread_cond
//         waiting=submit/pthread_cond_signal fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

static pthread_mutex_t job_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_there = PTHREAD_COND_INITIALIZER;
static int jobs;
static pid_t worker;

static void *work(void *unused) {
    (void)unused;
    thread_name("worker");
    worker = gettid();
    pthread_mutex_lock(&job_mutex);
    for (;;) {
        gate_open(&held);
        while (!jobs)
            pthread_cond_wait(&job_there, &job_mutex);
        jobs--;
    }
    return NULL;
}

static void submit(void) {
    pthread_mutex_lock(&job_mutex);
    jobs++;
    pthread_cond_signal(&job_there);
    pthread_mutex_unlock(&job_mutex);
}

static void run_child(void) {
    thread_start(work);
    gate_wait(&held);
    submit(); // wakes the child's worker
    gate_wait(&held);
    submit();           // is meant for the vanished one
    submit();           // waits until that one has gone
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(work);
    gate_wait(&held);
    until_asleep(worker);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}

// A pool of threads, the most common of all: the child puts a job into the queue and waits for its result.
// The pool's threads exist in the parent only.
//
// expect: vanished-waker lock=job_done waker=pool lockkind=pthread_cond
//         waiting=submit_and_wait/pthread_cond_wait fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_there = PTHREAD_COND_INITIALIZER;
static pthread_cond_t job_done = PTHREAD_COND_INITIALIZER;
static int submitted, finished;

static void *work(void *unused) {
    (void)unused;
    thread_name("pool");
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (finished == submitted)
            pthread_cond_wait(&job_there, &mutex);
        finished++;
        pthread_cond_broadcast(&job_done);
    }
    return NULL;
}

static void submit_and_wait(void) {
    pthread_mutex_lock(&mutex);
    int mine = ++submitted;
    pthread_cond_signal(&job_there);
    while (finished < mine)
        pthread_cond_wait(&job_done, &mutex);
    pthread_mutex_unlock(&mutex);
}

int main(void) {
    thread_start(work);
    thread_start(work);
    submit_and_wait();
    say("main: the pool works; fork");
    pid_t child = fork();
    if (child == 0) {
        submit_and_wait();
        say("child: done"); // never comes
        _exit(0);
    }
    return reap(child);
}

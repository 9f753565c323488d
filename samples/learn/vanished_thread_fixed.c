// waker_pool, repaired: the program forks before it has threads, and each process starts a pool of its own.
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
    say("main: fork");
    pid_t child = fork();
    thread_start(work);
    thread_start(work);
    submit_and_wait();
    if (child == 0) {
        say("child: done");
        _exit(0);
    }
    say("main: the pool works");
    return reap(child);
}

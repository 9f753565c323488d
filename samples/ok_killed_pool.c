// A pool of threads as the parent has one is made anew in the child, whose tasks all wait for work when the parent ends it, at
// its shutdown. Nobody who is missed: refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <signal.h>

static struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    int jobs, done;
} pool;

static void *serve(void *unused) {
    (void)unused;
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (!pool.jobs)
            pthread_cond_wait(&pool.work, &pool.mutex);
        pool.jobs--;
        pool.done++;
        pthread_mutex_unlock(&pool.mutex);
        gate_open(&held);
        pthread_mutex_lock(&pool.mutex);
    }
    return NULL;
}

static void submit(void) {
    pthread_mutex_lock(&pool.mutex);
    pool.jobs++;
    pthread_cond_signal(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
}

static pthread_t pool_make(void) {
    pool = (struct pool){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    return thread_start(serve);
}

int main(void) {
    pool_make();
    submit();
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread = pool_make();
        submit();
        pthread_join(thread, NULL);
        _exit(1);
    }
    gate_wait(&held);
    until_asleep(child);
    usleep(100000);
    kill(child, SIGTERM);
    return reap(child) == 128 + SIGTERM ? 0 : 1;
}

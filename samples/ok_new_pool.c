// The child has a pool of its own: new threads, new queue, nothing of its parent's is used. refork must
// stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t job_there, job_done;
    int submitted, finished;
};

static void *work(void *arg) {
    struct pool *p = arg;
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        while (p->finished == p->submitted)
            pthread_cond_wait(&p->job_there, &p->mutex);
        p->finished++;
        pthread_cond_broadcast(&p->job_done);
    }
    return NULL;
}

static struct pool *make_pool(void) {
    struct pool *p = calloc(1, sizeof *p);
    pthread_t thread;
    if (!p || pthread_create(&thread, NULL, work, p)) abort();
    pthread_detach(thread);
    return p;
}

static void submit_and_wait(struct pool *p) {
    pthread_mutex_lock(&p->mutex);
    int mine = ++p->submitted;
    pthread_cond_signal(&p->job_there);
    while (p->finished < mine)
        pthread_cond_wait(&p->job_done, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
}

int main(void) {
    struct pool *pool = make_pool();
    submit_and_wait(pool);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        submit_and_wait(make_pool());
        say("child: done");
        _exit(0);
    }
    submit_and_wait(pool);
    return reap(child);
}

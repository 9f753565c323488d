#include "tui/terminal/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    const struct tui_source *source;
    void (*done)(void);
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct tui_job *job; // NULL: none given, or through
    bool end;
};

static void *work(void *argument) {
    struct worker *w = argument;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->job && !w->end)
            pthread_cond_wait(&w->given, &w->mutex);
        if (!w->job) break;
        struct tui_job *job = w->job;
        pthread_mutex_unlock(&w->mutex);
        tui_job_run(w->source, job);
        pthread_mutex_lock(&w->mutex);
        w->job = NULL;
        w->done();
    }
    pthread_mutex_unlock(&w->mutex);
    w->source->close(w->source->context);
    return NULL;
}

// The terminal's signals are for the thread that draws; faults go where they happen.
static int start(struct worker *w) {
    sigset_t others, before;
    sigemptyset(&others);
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT, SIGCHLD};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&others, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &others, &before);
    int failed = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

struct worker *worker_new(const struct tui_source *source, void (*done)(void), struct rf_error *err) {
    struct worker *w = calloc(1, sizeof *w);
    rf_assert(w);
    w->source = source;
    w->done = done;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->given, NULL);
    int failed = start(w);
    if (!failed) return w;
    rf_fail(err, RF_CANNOT, "cannot start a thread: %s", strerror(failed));
    free(w);
    return NULL;
}

void worker_give(struct worker *w, struct tui_job *job) {
    pthread_mutex_lock(&w->mutex);
    rf_assert(!w->job);
    w->job = job;
    pthread_cond_signal(&w->given);
    pthread_mutex_unlock(&w->mutex);
}

bool worker_through(struct worker *w) {
    pthread_mutex_lock(&w->mutex);
    bool through = !w->job;
    pthread_mutex_unlock(&w->mutex);
    return through;
}

void worker_free(struct worker *w) {
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    if (w->job) w->job->cancel = true;
    w->end = true;
    pthread_cond_signal(&w->given);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->given);
    free(w);
}

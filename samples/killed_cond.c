// A supervisor gives its child a moment, and kills it then. The child waited for a condition that only the parent's worker
// signals: it would wait still. The worker signals when nobody waits, so that no word of the condition ever changes.
//
// expect: vanished-waker lock=result_ready waker=worker lockkind=pthread_cond killed=SIGKILL killedby=supervisor
//         waiting=run_child/pthread_cond_wait fork=main/fork
// status: 120
// replay: 0
#include "samples/stage.h"

#include <signal.h>
#include <stdbool.h>

static pthread_mutex_t result_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t result_ready = PTHREAD_COND_INITIALIZER;
static bool ready;

static void *make_result(void *unused) {
    (void)unused;
    thread_name("worker");
    hold_over_fork();
    pthread_mutex_lock(&result_mutex);
    ready = true;
    pthread_cond_broadcast(&result_ready);
    pthread_mutex_unlock(&result_mutex);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&result_mutex);
    while (!ready)
        pthread_cond_wait(&result_ready, &result_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_name("supervisor");
    pthread_t worker = thread_start(make_result);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_join(worker, NULL);
    until_asleep(child);
    usleep(100000); // its time limit: the verdict says for how long the child waited
    kill(child, SIGKILL);
    say("main: the time is over");
    return reap(child) == 128 + SIGKILL ? 0 : 1;
}

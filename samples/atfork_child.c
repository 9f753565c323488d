// A fork handler that is only half of the cure: in the child it wants to clear a queue, with the queue's
// mutex, but no prepare handler took that mutex before the fork. The child hangs inside fork() and never
// returns from it.
//
// expect: atfork-child confidence=proved lock=queue_mutex lockkind=pthread_mutex holder=worker
//         start=fill_queue acquired=fill_queue/pthread_mutex_lock waiting=clear_queue/pthread_mutex_lock
//         fork=main/fork
// expect: cross-process-wait cause=atfork-child
// status: 120
#include "samples/stage.h"

static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static int queued;

static void clear_queue(void) {
    pthread_mutex_lock(&queue_mutex);
    queued = 0;
    pthread_mutex_unlock(&queue_mutex);
}

static void *fill_queue(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&queue_mutex);
    queued++;
    hold_over_fork();
    pthread_mutex_unlock(&queue_mutex);
    return NULL;
}

int main(void) {
    pthread_atfork(NULL, NULL, clear_queue);
    thread_start(fill_queue);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        say("child: done"); // never comes
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}

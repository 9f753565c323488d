// A process waits on a process-shared condition for work. The one that makes it is killed: nobody will signal any more.
//
// expect: dead-holder confidence=likely lockkind=pthread_cond waker=producer ended=SIGTERM endedby=dead_signaller
//     waiting=consume/pthread_cond_wait
// expect: cross-process-wait cause=dead-holder waiting=main
// status: 120
#include "samples/shared.h"

#include <signal.h>

static struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    int items, taken;
} * queue;

static void produce(void) {
    pthread_mutex_lock(&queue->mutex);
    queue->items++;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
}

static void consume(void) {
    pthread_mutex_lock(&queue->mutex);
    while (!queue->items)
        pthread_cond_wait(&queue->filled, &queue->mutex);
    queue->items--;
    pthread_mutex_unlock(&queue->mutex);
}

int main(void) {
    queue = shared_memory(sizeof *queue);
    shared_mutex(&queue->mutex, PTHREAD_MUTEX_STALLED);
    shared_cond(&queue->filled);
    pid_t producer = fork();
    if (!producer) {
        thread_name("producer");
        produce();
        gate_open(&held);
        for (;;)
            pause();
    }
    pid_t consumer = fork();
    if (!consumer) {
        consume();
        gate_wait(&forked);
        consume();
        _exit(0);
    }
    gate_wait(&held);
    kill(producer, SIGTERM);
    reap(producer);
    gate_open(&forked);
    return reap(consumer);
}

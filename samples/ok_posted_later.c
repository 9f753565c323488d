// The child waits for a semaphore that a thread of its own posts after some beats. The last one who took a permit of it was
// a thread that the fork left behind, but it is a signal, not a lock. refork must stay silent.
//
// expect: none
// status: 0
#include "stage.h"

#include <semaphore.h>

static sem_t work;

static void *consume(void *nothing) {
    sem_wait(&work);
    gate_open(&held);
    for (;;)
        pause();
    return nothing;
}

static void *beat(void *nothing) {
    for (int i = 0; i < 20; i++)
        usleep(50000);
    sem_post(&work);
    return nothing;
}

int main(void) {
    sem_init(&work, 0, 0);
    thread_start(consume);
    sem_post(&work);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        thread_start(beat);
        sem_wait(&work);
        say("child: posted");
        _exit(0);
    }
    return reap(child);
}

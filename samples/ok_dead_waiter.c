// Processes that are killed where nothing is lost: one that had given the lock back, and one that waited for it. A living one
// has it, and gives it back later. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/shared.h"

#include <semaphore.h>
#include <signal.h>

static struct locks {
    pthread_mutex_t mutex;
    sem_t permits;
} * locks;

static void take(void) {
    pthread_mutex_lock(&locks->mutex);
    sem_wait(&locks->permits);
}

static void give(void) {
    sem_post(&locks->permits);
    pthread_mutex_unlock(&locks->mutex);
}

int main(void) {
    locks = shared_memory(sizeof *locks);
    shared_mutex(&locks->mutex, PTHREAD_MUTEX_STALLED);
    sem_init(&locks->permits, 1, 1);
    pid_t gone = fork();
    if (!gone) {
        take();
        give();
        gate_open(&held);
        for (;;)
            pause();
    }
    gate_wait(&held);
    take();
    pid_t waiter = fork();
    if (!waiter) {
        gate_open(&held);
        take();
        _exit(1);
    }
    gate_wait(&held);
    until_asleep(waiter);
    kill(gone, SIGKILL);
    kill(waiter, SIGKILL);
    reap(gone);
    reap(waiter);
    pid_t next = fork();
    if (!next) {
        take();
        give();
        _exit(0);
    }
    usleep(300000);
    give();
    return reap(next);
}

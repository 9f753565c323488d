// The holder of a process-shared mutex is killed, but the mutex is robust: the next one gets EOWNERDEAD, mends what is to be
// mended, and goes on. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/shared.h"

#include <errno.h>
#include <signal.h>

static pthread_mutex_t *mutex;

static void take(void) {
    if (pthread_mutex_lock(mutex) == EOWNERDEAD) pthread_mutex_consistent(mutex);
}

static pid_t start(bool stays) {
    pid_t child = fork();
    if (child) return child;
    take();
    if (stays) gate_open(&held);
    while (stays)
        pause();
    pthread_mutex_unlock(mutex);
    _exit(0);
}

int main(void) {
    mutex = shared_memory(sizeof *mutex);
    shared_mutex(mutex, PTHREAD_MUTEX_ROBUST);
    pid_t holder = start(true);
    gate_wait(&held);
    kill(holder, SIGKILL);
    reap(holder);
    return reap(start(false));
}

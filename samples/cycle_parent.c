// Two mutexes, taken in opposite orders by two threads of the parent. There is a fork, too, and it has
// nothing to do with it.
//
// expect: lock-cycle confidence=proved waiting=transfer/pthread_mutex_lock lock=to_mutex holder=backward
//         start=transfer_back acquired=transfer_back/pthread_mutex_lock
// status: 120
#include "samples/stage.h"

static pthread_mutex_t from_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t to_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *transfer_back(void *unused) {
    (void)unused;
    thread_name("backward");
    pthread_mutex_lock(&to_mutex);
    gate_open(&held);
    gate_wait(&settled); // each has its first one
    pthread_mutex_lock(&from_mutex);
    return NULL;
}

static void transfer(void) {
    pthread_mutex_lock(&from_mutex);
    gate_open(&settled);
    gate_wait(&held);
    pthread_mutex_lock(&to_mutex);
}

int main(void) {
    say("main: fork");
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (reap(child)) return 1;
    thread_start(transfer_back);
    transfer(); // never returns
    return 0;
}

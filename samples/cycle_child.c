// The same two mutexes and orders, both threads in a child: it hangs, the parent waits for it, and still
// the fork is not the cause. Nobody vanished.
//
// expect: lock-cycle confidence=proved waiting=transfer/pthread_mutex_lock lock=to_mutex holder=backward
//         start=transfer_back acquired=transfer_back/pthread_mutex_lock
// expect: cross-process-wait cause=lock-cycle
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
    if (child == 0) {
        thread_start(transfer_back);
        transfer();
        _exit(0); // never comes
    }
    return reap(child);
}

// A process is killed while it has a process-shared mutex, as the kernel kills when memory is short. The next one that wants
// it waits for ever: the mutex is not robust.
//
// expect: dead-holder confidence=proved lockkind=pthread_mutex holder=writer ended=SIGKILL endedby=dead_mutex
//     acquired=append/pthread_mutex_lock waiting=append/pthread_mutex_lock
// expect: cross-process-wait cause=dead-holder waiting=main
// status: 120
#include "samples/shared.h"

#include <signal.h>

static struct log {
    pthread_mutex_t mutex;
    int lines;
} * records;

static void append(bool stays) {
    pthread_mutex_lock(&records->mutex);
    records->lines++;
    if (stays) {
        gate_open(&held);
        pause();
    }
    pthread_mutex_unlock(&records->mutex);
}

int main(void) {
    records = shared_memory(sizeof *records);
    shared_mutex(&records->mutex, PTHREAD_MUTEX_STALLED);
    pid_t writer = fork();
    if (!writer) {
        thread_name("writer");
        append(true);
        _exit(0);
    }
    gate_wait(&held);
    kill(writer, SIGKILL);
    reap(writer);
    pid_t next = fork();
    if (!next) {
        append(false);
        _exit(0);
    }
    return reap(next);
}

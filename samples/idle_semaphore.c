// The child's own thread waits for input for ever; the child's main thread needs the permit of a semaphore that a thread of
// the parent had taken. Only the recording tells who has a semaphore.
//
// expect: orphaned-lock lockkind=sem lock=permit holder=printer start=print acquired=print
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "stage.h"

#include <semaphore.h>

static sem_t permit;

static void *print(void *nothing) {
    thread_name("printer");
    sem_wait(&permit);
    hold_over_fork();
    sem_post(&permit);
    return nothing;
}

static void *listen_for_ever(void *nothing) {
    int ends[2];
    char byte;
    if (pipe(ends) || read(ends[0], &byte, 1) != 1) abort();
    return nothing;
}

int main(void) {
    sem_init(&permit, 0, 1);
    thread_start(print);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        thread_start(listen_for_ever);
        sem_wait(&permit);
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}

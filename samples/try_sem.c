// The child asks for a permit with sem_trywait and sched_yield; a vanished thread has the only one.
//
// expect: orphaned-spin lock=permit lockkind=sem holder=worker start=use_permit acquired=use_permit fork=main/fork
// expect: cross-process-wait cause=orphaned-spin waiting=main
// status: 120
#include "samples/stage.h"

#include <sched.h>
#include <semaphore.h>

static sem_t permit;

static void *use_permit(void *unused) {
    (void)unused;
    thread_name("worker");
    sem_wait(&permit);
    hold_over_fork();
    sem_post(&permit);
    return NULL;
}

static void run_child(void) {
    while (sem_trywait(&permit))
        sched_yield();
    sem_post(&permit);
    _exit(0);
}

int main(void) {
    sem_init(&permit, 0, 1);
    pthread_t worker = thread_start(use_permit);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_join(worker, NULL);
    return reap(child);
}

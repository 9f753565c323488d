// A process is killed while it waits for a semaphore. The one that is left waits for a post that only main could make, and
// main waits for it: the dead one has no part in it.
//
// expect: cross-process-wait lockkind=sem waiting=consume
// expect: cross-process-wait cause=cross-process-wait waiting=main
// status: 120
#include "samples/shared.h"

#include <semaphore.h>
#include <signal.h>

static sem_t *items;

static void consume(void) {
    sem_wait(items);
}

static pid_t start(void) {
    pid_t child = fork();
    if (child) return child;
    gate_open(&held);
    consume();
    _exit(0);
}

int main(void) {
    items = shared_memory(sizeof *items);
    sem_init(items, 1, 0);
    pid_t first = start();
    gate_wait(&held);
    until_asleep(first);
    kill(first, SIGKILL);
    reap(first);
    return reap(start());
}

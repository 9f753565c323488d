// A process-shared semaphore: the child waits until a thread of the parent posts it. refork must stay
// silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <semaphore.h>
#include <sys/mman.h>

static sem_t *made;

static void *produce(void *unused) {
    (void)unused;
    thread_name("producer");
    hold_over_fork();
    usleep(100000);
    sem_post(made);
    return NULL;
}

static void run_child(void) {
    sem_wait(made);
    say("child: done");
    _exit(0);
}

int main(void) {
    made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED || sem_init(made, 1, 0)) return 1;
    thread_start(produce);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// A child idles on a semaphore, until its parent's SIGTERM comes, whose handler posts it. A thread of the parent has posted
// the parent's own one before. Nothing is stuck: refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>

static sem_t stop;

static void on_term(int number) {
    (void)number;
    sem_post(&stop);
}

static void *post_once(void *unused) {
    (void)unused;
    sem_post(&stop);
    hold_over_fork();
    return NULL;
}

static void wait_for_stop(void) {
    while (sem_wait(&stop) && errno == EINTR)
        ;
}

int main(void) {
    signal(SIGTERM, on_term);
    pthread_t thread = thread_start(post_once);
    gate_wait(&held);
    wait_for_stop();
    pid_t child = fork();
    if (child == 0) {
        wait_for_stop();
        _exit(7);
    }
    until_asleep(child);
    usleep(100000);
    kill(child, SIGTERM);
    gate_open(&forked);
    pthread_join(thread, NULL);
    return reap(child) == 7 ? 0 : 1;
}

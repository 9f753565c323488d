// The child waits for the mutex for 50 ms, gives up and does without. That is no deadlock: refork must stay
// silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <time.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    if (pthread_mutex_timedlock(&log_mutex, &until)) say("child: no log");
    say("child: done");
    _exit(0);
}

int main(void) {
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

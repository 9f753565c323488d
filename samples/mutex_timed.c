// Timed locks in a loop: the child tries the log's mutex for 5 ms, then again. It is never asleep for long
// and never gets anywhere: every turn finds what the turn before it found, and nobody is left who could
// change that.
//
// expect: orphaned-lock confidence=likely lock=log_mutex lockkind=pthread_mutex holder=worker
//         start=write_report acquired=write_report/pthread_mutex_lock
//         waiting=run_child/pthread_mutex_clocklock_common fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <errno.h>
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
    do {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    } while (pthread_mutex_timedlock(&log_mutex, &until) == ETIMEDOUT);
    say("child: done"); // never comes
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

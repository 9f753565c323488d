// A timed lock only puts the end off: the child tries the log's mutex for an hour at a time and logs nothing. Nobody
// can release it, so there is no point in waiting for the end of the hour.
//
// expect: orphaned-lock confidence=proved lock=log_mutex lockkind=pthread_mutex holder=worker
//         start=write_report acquired=write_report/pthread_mutex_lock
//         waiting=run_child/pthread_mutex_timedlock fork=main/fork
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
        until.tv_sec += 3600;
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

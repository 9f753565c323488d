// A GRecMutex points to a pthread mutex on the heap, made at the first use.
//
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex holder=worker start=write_report
//         allocated=malloc:write_report/g_rec_mutex_lock
//         acquired=write_report/pthread_mutex_lock waiting=run_child/pthread_mutex_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <glib.h>

static GRecMutex log_mutex;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    g_rec_mutex_lock(&log_mutex);
    hold_over_fork();
    g_rec_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    g_rec_mutex_lock(&log_mutex);
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

// A GMutex is one word and the futex call, it has no owner.
//
// expect: orphaned-lock confidence=proved lock=log_mutex lockkind=GMutex holder=worker start=write_report
//         acquired=write_report/g_mutex_lock waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// held: log_mutex
// status: 120
#include "samples/stage.h"

#include <glib.h>

static GMutex log_mutex;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    g_mutex_lock(&log_mutex);
    hold_over_fork();
    g_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    g_mutex_lock(&log_mutex);
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

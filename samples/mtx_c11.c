// The mutex of C11's threads.h: a pthread mutex by another name, with the same trouble after fork().
//
// expect: orphaned-lock confidence=proved lock=log_mutex lockkind=pthread_mutex holder=worker
//         start=write_report acquired=write_report/mtx_lock waiting=run_child/mtx_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <threads.h>

static mtx_t log_mutex;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    mtx_lock(&log_mutex);
    hold_over_fork();
    mtx_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    mtx_lock(&log_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    mtx_init(&log_mutex, mtx_plain);
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// A semaphore that starts at one, used as a lock. It has no owner: that the worker took the one permit that
// there is can only be read from what happened before. Since a semaphore may be posted by anybody, this is
// likely, not proved.
//
// expect: orphaned-lock confidence=likely lock=log_permit lockkind=sem holder=worker start=write_report
//         acquired=write_report/sem_wait waiting=run_child/new_sem_wait_slow64 fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <semaphore.h>

static sem_t log_permit;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    sem_wait(&log_permit);
    hold_over_fork();
    sem_post(&log_permit);
    return NULL;
}

static void run_child(void) {
    sem_wait(&log_permit);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    sem_init(&log_permit, 0, 1);
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// A mutex with priority inheritance is locked by the kernel, which looks for the owner's thread. When that
// thread has ended in the parent, there is none (ESRCH), and glibc takes it for an owner that died with the
// mutex: it sends the child to sleep for ever, on a word of its stack.
//
// expect: orphaned-lock lock=log_mutex lockkind=pthread_mutex holder=worker start=write_report
//         acquired=write_report/pthread_mutex_lock_full waiting=run_child/pthread_mutex_lock_full
//         fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

static pthread_mutex_t log_mutex;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    gate_wait(&settled);
    pthread_mutex_lock(&log_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&log_mutex, &attr);
    pthread_t worker = thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_join(worker, NULL);
    gate_open(&settled);
    return reap(child);
}

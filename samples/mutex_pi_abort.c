// A mutex with priority inheritance is locked by the kernel, which looks for the owner's thread. While that
// thread runs in the parent, Linux refuses (EPERM: it is none of this process), and glibc aborts the child.
// Nothing waits for ever, so there is nothing to report.
//
// expect: none
// status: 134
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
    pthread_mutex_lock(&log_mutex);
    say("child: done"); // never comes: abort()
    _exit(0);
}

int main(void) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&log_mutex, &attr);
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    int status = reap(child);
    gate_open(&forked);
    return status;
}

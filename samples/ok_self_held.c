// The forking thread holds a normal mutex. A normal mutex does not look at its owner, so the child may give
// back what its thread held, and use it again. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    gate_open(&held);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_unlock(&log_mutex);
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_unlock(&log_mutex);
    say("child: done");
    _exit(0);
}

int main(void) {
    thread_start(write_report);
    gate_wait(&held);
    pthread_mutex_lock(&log_mutex);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    pthread_mutex_unlock(&log_mutex);
    return reap(child);
}

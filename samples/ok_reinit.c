// The child makes the mutex anew before it uses it. What it protects has to be in order for that; here it
// is nothing. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

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
    pthread_mutex_init(&log_mutex, NULL);
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_unlock(&log_mutex);
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

// The child polls a mutex of a vanished thread with pthread_mutex_trylock, and looks at a setting in each turn.
//
// expect: orphaned-spin lock=log_mutex lockkind=pthread_mutex holder=logger start=write_log acquired=write_log/pthread_mutex_lock
//     waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-spin waiting=main
// status: 120
#include "samples/stage.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int verbose;

static void *write_log(void *unused) {
    (void)unused;
    thread_name("logger");
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    while (pthread_mutex_trylock(&log_mutex))
        if (verbose) say("busy");
    pthread_mutex_unlock(&log_mutex);
    _exit(0);
}

int main(void) {
    pthread_t logger = thread_start(write_log);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_join(logger, NULL);
    return reap(child);
}

// A forked worker, as servers have them: it starts a heartbeat of its own and then needs the log's mutex, which a thread of
// its parent held at the fork. That the heartbeat goes on for ever does not help: the mutex is released by its holder.
//
// expect: orphaned-lock confidence=proved lock=log_mutex holder=writer start=write_log acquired=write_log
//         waiting=work fork=main
// status: 120
#include "stage.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *write_log(void *nothing) {
    thread_name("writer");
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return nothing;
}

static void *beat(void *nothing) {
    for (;;)
        usleep(20000);
    return nothing;
}

static void work(void) {
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_unlock(&log_mutex);
}

int main(void) {
    thread_start(write_log);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        thread_start(beat);
        work();
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}

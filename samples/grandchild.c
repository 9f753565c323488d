// A process waits for its child, which waits for its own: two consequences, one cause.
//
// expect: orphaned-lock confidence=proved lock=log_mutex holder=worker start=write_report
//         waiting=log_line/pthread_mutex_lock
// expect: cross-process-wait cause=orphaned-lock waiting=be_server
// expect: cross-process-wait cause=cross-process-wait waiting=main
// status: 120
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

static void log_line(void) {
    pthread_mutex_lock(&log_mutex);
    say("request: done"); // never comes
    pthread_mutex_unlock(&log_mutex);
}

static int be_server(void) {
    pthread_t worker = thread_start(write_report);
    gate_wait(&held);
    pid_t request = fork();
    if (request == 0) {
        gate_wait(&settled);
        log_line();
        _exit(0);
    }
    gate_open(&forked);
    pthread_join(worker, NULL);
    gate_open(&settled);
    return reap(request);
}

int main(void) {
    pid_t server = fork();
    if (server == 0) _exit(be_server());
    return reap(server);
}

// What else a thread takes with it: its thread_local objects and the values of its pthread keys stay in the
// child's memory, and their destructors never run there.
//
// expect: orphaned-lock confidence=proved lock=log_mutex holder=worker start=write_report
//         acquired=write_report/pthread_mutex_lock waiting=run_child/pthread_mutex_lock gone=worker
//         destructors=2 keys=1 local=input
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

struct Buffer {
    char *data = new char[1000];
    ~Buffer() { delete[] data; }
};

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t connection;
static thread_local Buffer input, output;

static void *write_report(void *) {
    thread_name("worker");
    input.data[0] = output.data[0] = 'x';
    pthread_setspecific(connection, malloc(100));
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return nullptr;
}

static void run_child() {
    pthread_mutex_lock(&log_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    if (pthread_key_create(&connection, free)) return 1;
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

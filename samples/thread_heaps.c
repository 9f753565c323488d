// Threads that come and go leave their thread_local data in every child that is forked meanwhile, and what it points
// to: with mimalloc each thread has a heap of its own, which no thread of the child will ever give back.
//
// run: LD_PRELOAD=libmimalloc.so.2
// expect: orphaned-lock confidence=proved lock=log_mutex holder=worker start=write_report
//         acquired=write_report/pthread_mutex_lock waiting=run_child/pthread_mutex_lock fork=main/fork gone=worker
//         local=recent localmodule=libmimalloc.so.2
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static __thread struct {
    int count;
    char *reports[16];
} recent;

static void *come_and_go(void *unused) {
    (void)unused;
    recent.reports[recent.count++] = malloc(100); // gone with its thread
    return NULL;
}

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    recent.reports[recent.count++] = malloc(100);
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&log_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    for (int i = 0; i < 4; i++)
        pthread_join(thread_start(come_and_go), NULL);
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

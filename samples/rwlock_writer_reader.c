// A read-write lock that a vanished thread holds for writing; the child only wants to read.
//
// expect: orphaned-lock confidence=proved lock=table_lock lockkind=pthread_rwlock holder=worker
//         start=update_table acquired=update_table/pthread_rwlock_wrlock
//         waiting=run_child/pthread_rwlock_rdlock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *update_table(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_rwlock_wrlock(&table_lock);
    hold_over_fork();
    pthread_rwlock_unlock(&table_lock);
    return NULL;
}

static void run_child(void) {
    pthread_rwlock_rdlock(&table_lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(update_table);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// A read-write lock that a vanished thread holds for reading. glibc's has only a count of its readers, no
// names: in the child the count stays at one for ever, and a writer waits for it to become zero.
//
// expect: orphaned-lock confidence=proved lock=table_lock lockkind=pthread_rwlock holder=worker
//         start=look_up acquired=look_up/pthread_rwlock_rdlock waiting=run_child/pthread_rwlock_wrlock
//         fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *look_up(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_rwlock_rdlock(&table_lock);
    hold_over_fork();
    pthread_rwlock_unlock(&table_lock);
    return NULL;
}

static void run_child(void) {
    pthread_rwlock_wrlock(&table_lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(look_up);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

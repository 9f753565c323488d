// A read-write lock that one thread has for reading when main forks, while another one waits to write. The writer has
// set its bit in the lock's word already, but it holds nothing: only the reader does.
//
// expect: orphaned-lock confidence=proved lock=table_lock lockkind=pthread_rwlock holder=reader
//         start=read_table acquired=read_table/pthread_rwlock_rdlock
//         waiting=run_child/pthread_rwlock_wrlock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// held: table_lock
// status: 120
#include "samples/stage.h"

#include <sched.h>

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *read_table(void *unused) {
    (void)unused;
    thread_name("reader");
    pthread_rwlock_rdlock(&table_lock);
    hold_over_fork();
    pthread_rwlock_unlock(&table_lock);
    return NULL;
}

static void *write_table(void *unused) {
    (void)unused;
    thread_name("writer");
    pthread_rwlock_wrlock(&table_lock);
    pthread_rwlock_unlock(&table_lock);
    return NULL;
}

static void run_child(void) {
    pthread_rwlock_wrlock(&table_lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    enum { WRITE_LOCKED = 2 }; // of pthread_rwlock_t.__data.__readers
    thread_start(read_table);
    gate_wait(&held);
    thread_start(write_table);
    while (!(__atomic_load_n(&table_lock.__data.__readers, __ATOMIC_ACQUIRE) & WRITE_LOCKED))
        sched_yield();
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

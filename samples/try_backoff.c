// The child takes two locks without an order: the first one, the second one if it is free, else it gives back the first one,
// sleeps a moment and tries again. The second one, a rwlock, is a vanished reader's.
//
// expect: orphaned-spin lock=table_lock lockkind=pthread_rwlock holder=reader start=read_table
//     acquired=read_table/pthread_rwlock_rdlock fork=main/fork
// expect: cross-process-wait cause=orphaned-spin waiting=main
// status: 120
#include "samples/stage.h"

static pthread_mutex_t index_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *read_table(void *unused) {
    (void)unused;
    thread_name("reader");
    pthread_rwlock_rdlock(&table_lock);
    hold_over_fork();
    pthread_rwlock_unlock(&table_lock);
    return NULL;
}

static void run_child(void) {
    for (;;) {
        if (!pthread_mutex_trylock(&index_mutex)) {
            if (!pthread_rwlock_trywrlock(&table_lock)) break;
            pthread_mutex_unlock(&index_mutex);
        }
        usleep(500);
    }
    _exit(0);
}

int main(void) {
    pthread_t reader = thread_start(read_table);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_join(reader, NULL);
    return reap(child);
}

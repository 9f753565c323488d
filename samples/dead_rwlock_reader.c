// Of two readers of a process-shared rwlock one crashes with it; the other one gives it back. A writer waits for ever, and
// new readers may queue up behind it. There are no robust rwlocks.
//
// expect: dead-holder lockkind=pthread_rwlock holder=reader ended=SIGSEGV
//     acquired=look_up/pthread_rwlock_rdlock waiting=change/pthread_rwlock_wrlock
// expect: cross-process-wait cause=dead-holder waiting=main
// status: 120
#include "samples/shared.h"

#include <sys/resource.h>

static struct table {
    pthread_rwlock_t lock;
    int *entry;
} * table;

static int look_up(void) {
    pthread_rwlock_rdlock(&table->lock);
    int value = *(volatile int *)table->entry;
    pthread_rwlock_unlock(&table->lock);
    return value;
}

static void change(void) {
    pthread_rwlock_wrlock(&table->lock);
    pthread_rwlock_unlock(&table->lock);
}

int main(void) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    table = shared_memory(sizeof *table);
    shared_rwlock(&table->lock);
    pthread_rwlock_rdlock(&table->lock);
    pid_t reader = fork();
    if (!reader) {
        thread_name("reader");
        look_up();
        _exit(0);
    }
    reap(reader);
    pthread_rwlock_unlock(&table->lock);
    pid_t writer = fork();
    if (!writer) {
        change();
        _exit(0);
    }
    return reap(writer);
}

// The worker holds three locks at the fork: a mutex, glibc's envlock, and a spin word of the program's own. The child
// hangs in the mutex and comes to none of the others: they are listed all the same.
//
// expect: orphaned-lock confidence=proved lock=log_mutex lockkind=pthread_mutex holder=worker start=configure
//         acquired=configure/pthread_mutex_lock waiting=run_child/pthread_mutex_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// held: envlock log_mutex table_word
// status: 120
#include "samples/stage.h"

#include <stdatomic.h>
#include <stdbool.h>

extern void *__libc_realloc(void *, size_t);

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int table_word;
static _Thread_local bool slow;

// setenv allocates with its lock held, and this thread's allocator takes its time.
void *realloc(void *p, size_t size) {
    if (slow) {
        slow = false;
        hold_over_fork();
    }
    return __libc_realloc(p, size);
}

static void table_lock(void) {
    while (atomic_exchange(&table_word, 1))
        continue;
}

static void table_unlock(void) {
    atomic_store(&table_word, 0);
}

static void *configure(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&log_mutex);
    table_lock();
    table_unlock();
    table_lock();
    slow = true;
    setenv("LC_ALL", "C", 1);
    table_unlock();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    gate_wait(&settled);
    pthread_mutex_lock(&log_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    pthread_t worker = thread_start(configure);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    pthread_join(worker, NULL);
    gate_open(&settled);
    return reap(child);
}

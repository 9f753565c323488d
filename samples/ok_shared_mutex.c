// A process-shared mutex, held at the fork by another thread of the parent. It is the same mutex in the
// child, its holder is alive and will release it: refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <sys/mman.h>

static pthread_mutex_t *table_mutex; // in memory that both processes have
static void make_mutex(void) {
    table_mutex = mmap(NULL, sizeof *table_mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (table_mutex == MAP_FAILED) abort();
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(table_mutex, &attr);
}

static void *update_table(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(table_mutex);
    hold_over_fork();
    usleep(100000);
    pthread_mutex_unlock(table_mutex);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(table_mutex);
    pthread_mutex_unlock(table_mutex);
    say("child: done");
    _exit(0);
}

int main(void) {
    make_mutex();
    thread_start(update_table);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// A robust process-shared mutex whose holder dies: the kernel hands it on with EOWNERDEAD. refork must stay
// silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <errno.h>
#include <sys/mman.h>

static pthread_mutex_t *table_mutex; // in memory that both processes have
static void make_mutex(void) {
    table_mutex = mmap(NULL, sizeof *table_mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (table_mutex == MAP_FAILED) abort();
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(table_mutex, &attr);
}

int main(void) {
    make_mutex();
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(table_mutex);
        hold_over_fork();
        _exit(0); // with the mutex
    }
    gate_wait(&held);
    gate_open(&forked);
    if (pthread_mutex_lock(table_mutex) != EOWNERDEAD) return 1;
    pthread_mutex_consistent(table_mutex);
    pthread_mutex_unlock(table_mutex);
    say("main: repaired");
    return reap(child);
}

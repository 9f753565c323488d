// A process-shared mutex: a child takes it and ends. Nobody is left who could give it back, and main wants it.
//
// expect: dead-holder lockkind=pthread_mutex holder=shared_mutex_en acquired=take_table/pthread_mutex_lock
//     waiting=take_table/pthread_mutex_lock
// status: 120
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

static void take_table(void) {
    pthread_mutex_lock(table_mutex);
}

int main(void) {
    make_mutex();
    pid_t child = fork();
    if (child == 0) {
        take_table();
        _exit(0);
    }
    reap(child);
    take_table();
    return 0;
}

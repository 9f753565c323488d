// A process-shared mutex: main has it when it forks, and waits for a child that wants it.
//
// expect: self-held lockkind=pthread_mutex forker=true acquired=take_table/pthread_mutex_lock waiting=take_table/pthread_mutex_lock
//     fork=main/fork
// expect: cross-process-wait cause=self-held waiting=main
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
    take_table();
    pid_t child = fork();
    if (child == 0) {
        take_table();
        _exit(0);
    }
    return reap(child);
}

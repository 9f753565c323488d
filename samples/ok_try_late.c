// The parent and its child poll one process-shared mutex with pthread_mutex_trylock; whoever has it gives it back after a
// while. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/shared.h"

static pthread_mutex_t *mutex;

static void take_turns(void) {
    for (int i = 0; i < 3; i++) {
        while (pthread_mutex_trylock(mutex))
            usleep(500);
        usleep(60000);
        pthread_mutex_unlock(mutex);
    }
}

int main(void) {
    mutex = shared_memory(sizeof *mutex);
    shared_mutex(mutex, PTHREAD_MUTEX_STALLED);
    pid_t child = fork();
    take_turns();
    if (child == 0) _exit(0);
    return reap(child);
}

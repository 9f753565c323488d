// A mutex is taken by one thread and released by another, which glibc allows for a normal one: the thread that waits for it
// holds it, as its owner field says, and yet it gets it. refork must stay silent.
//
// expect: none
// status: 0
#include "stage.h"

static pthread_mutex_t handed = PTHREAD_MUTEX_INITIALIZER;

static void *finish(void *nothing) {
    usleep(1200000);
    pthread_mutex_unlock(&handed);
    return nothing;
}

int main(void) {
    pthread_mutex_lock(&handed);
    thread_start(finish);
    pthread_mutex_lock(&handed);
    say("handed over");
    return 0;
}

// A child with a pool of its own, which has no work: its threads wait for a condition, and its main thread pauses until somebody ends
// the program. Its parent waits for it, and a thread of the parent idles as well. Nothing moves, and nothing is wrong.
#include "program.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;

static void *serve(void *unused) {
    pthread_mutex_lock(&mutex);
    for (;;)
        pthread_cond_wait(&work, &mutex);
    return unused;
}

static void *idle(void *unused) {
    for (;;)
        pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, idle, NULL) == 0);
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < 2; i++)
            CHECK(pthread_create(&thread, NULL, serve, NULL) == 0);
        for (;;)
            pause();
    }
    return reap(child);
}

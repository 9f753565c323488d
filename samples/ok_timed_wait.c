// Workers that wait for a condition with a timeout, again and again, as every pool with housekeeping does:
// in the parent, while the child is slow. Nobody signals them, and they are not stuck. refork must stay
// silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdbool.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_there = PTHREAD_COND_INITIALIZER;
static bool stop;

static void *keep_house(void *unused) {
    (void)unused;
    thread_name("house");
    pthread_mutex_lock(&mutex);
    while (!stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&job_there, &mutex, &until);
    }
    pthread_mutex_unlock(&mutex);
    gate_open(&held);
    return NULL;
}

int main(void) {
    thread_start(keep_house);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        usleep(200000);
        _exit(0);
    }
    int status = reap(child);
    pthread_mutex_lock(&mutex);
    stop = true;
    pthread_mutex_unlock(&mutex);
    gate_wait(&held);
    return status;
}

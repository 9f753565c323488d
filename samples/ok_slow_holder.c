// A mutex is held for a second by a thread that sleeps with it, while another one waits for it and a third one idles: its
// holder lives, and releases it. refork must stay silent.
//
// expect: none
// status: 0
#include "stage.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *hold(void *nothing) {
    pthread_mutex_lock(&mutex);
    gate_open(&held);
    for (int i = 0; i < 20; i++)
        usleep(50000);
    pthread_mutex_unlock(&mutex);
    return nothing;
}

static void *idle(void *nothing) {
    for (;;)
        pause();
    return nothing;
}

int main(void) {
    thread_start(idle);
    thread_start(hold);
    gate_wait(&held);
    pthread_mutex_lock(&mutex);
    say("got it");
    return 0;
}

// The handler of a signal takes a mutex that the code which it interrupted holds. In the same thread: nobody can release it.
// Beside it a thread idles, as in a server.
//
// expect: signal-handler lock=mutex waiting=on_usr1 acquired=update
// status: 120
#include "stage.h"

#include <signal.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void on_usr1(int number) {
    (void)number;
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}

static void *idle(void *nothing) {
    for (;;)
        pause();
    return nothing;
}

static void update(void) {
    pthread_mutex_lock(&mutex);
    raise(SIGUSR1);
    pthread_mutex_unlock(&mutex);
}

int main(void) {
    thread_start(idle);
    signal(SIGUSR1, on_usr1);
    update();
    return 0;
}

// Two threads of a server take two mutexes in opposite orders, while a third one waits for connections. It holds nothing
// and will not help them.
//
// expect: lock-cycle confidence=proved
// status: 120
#include "stage.h"

#include <sys/socket.h>

static pthread_mutex_t from = PTHREAD_MUTEX_INITIALIZER, to = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *serve(void *nothing) {
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(listener, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)); // a name of the kernel's
    listen(listener, 1);
    accept(listener, NULL, NULL);
    return nothing;
}

static void *backward(void *nothing) {
    pthread_mutex_lock(&to);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&from);
    return nothing;
}

int main(void) {
    thread_start(serve);
    pthread_barrier_init(&both, NULL, 2);
    thread_start(backward);
    pthread_mutex_lock(&from);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&to);
    return 0;
}

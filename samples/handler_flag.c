// A thread takes a mutex twice in a program that handles SIGTERM, as servers do. The handler only sets a flag.
//
// expect: lock-cycle lock=mutex
// status: 120
#include "stage.h"

#include <signal.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t quit;

static void on_term(int number) {
    quit = number;
}

static void helper(void) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}

int main(void) {
    signal(SIGTERM, on_term);
    pthread_mutex_lock(&mutex);
    helper();
    pthread_mutex_unlock(&mutex);
    return quit;
}

// test_diagnose.c: waits for a mutex which it holds itself.
#include <pthread.h>

static pthread_mutex_t twice = PTHREAD_MUTEX_INITIALIZER;

int main(void) {
    pthread_mutex_lock(&twice);
    return pthread_mutex_lock(&twice); // mark waits
}

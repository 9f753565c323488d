// checks/locks.sh: a lock in the data of a library without symbols.
#include <pthread.h>

static pthread_mutex_t locks[200];

void library_lock(void) {
    pthread_mutex_lock(&locks[150]);
}

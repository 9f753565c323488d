// Memory and locks that processes share.
#ifndef REFORK_SAMPLES_SHARED_H
#define REFORK_SAMPLES_SHARED_H

#include "samples/stage.h"

#include <stdbool.h>
#include <sys/mman.h>

static inline void *shared_memory(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    return memory;
}

// `robust`: PTHREAD_MUTEX_STALLED or PTHREAD_MUTEX_ROBUST.
static inline void shared_mutex(pthread_mutex_t *mutex, int robust) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, robust);
    pthread_mutex_init(mutex, &attr);
}

static inline void shared_rwlock(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(lock, &attr);
}

static inline void shared_cond(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(cond, &attr);
}

#endif

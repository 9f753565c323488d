// Mutexes with priority inheritance: the kernel writes their words, with TIDs in them. Between threads, between
// processes, with timeouts, and one held over a fork.
#include "program.h"

#include <sys/mman.h>

enum { THREADS = 4, ROUNDS = 400 };

static void init(pthread_mutex_t *m, int shared, int type) {
    pthread_mutexattr_t attr;
    CHECK(pthread_mutexattr_init(&attr) == 0);
    CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutexattr_setpshared(&attr, shared) == 0);
    CHECK(pthread_mutexattr_settype(&attr, type) == 0);
    CHECK(pthread_mutex_init(m, &attr) == 0);
}

static pthread_mutex_t mutex;
static unsigned long count;
static uint64_t order = 1;

static void *adds(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&mutex) == 0);
        count++;
        order = hash_bytes(order, &arg, sizeof arg);
        if (i % 50 == 0) sleep_ms(1); // with the lock: the others must ask the kernel
        CHECK(pthread_mutex_unlock(&mutex) == 0);
    }
    return arg;
}

static void *holds(void *arg) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    return NULL;
}

static void threads(void) {
    pthread_t t[THREADS];
    init(&mutex, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_ERRORCHECK);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, adds, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    CHECK(count == (unsigned long)THREADS * ROUNDS);
    printf("threads: %lu, order %llx\n", count, (unsigned long long)order);

    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    CHECK(pthread_create(&t[0], NULL, holds, &barrier) == 0);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    if ((until.tv_nsec += 20000000) >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    CHECK(pthread_mutex_timedlock(&mutex, &until) == ETIMEDOUT);
    // The word has the TID of a thread that the child does not have.
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
        _exit(3);
    }
    CHECK(reap(child) == 3);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(t[0], NULL) == 0);
    CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_lock(&mutex) == EDEADLK);
    uint32_t word;
    memcpy(&word, &mutex, sizeof word);
    CHECK(word == (uint32_t)gettid_now());
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    printf("word %u\n", word);
}

static void processes(void) {
    struct {
        pthread_mutex_t mutex;
        unsigned long count;
        uint64_t order;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    init(&shared->mutex, PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_NORMAL);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i]) continue;
        for (int n = 0; n < 200; n++) {
            CHECK(pthread_mutex_lock(&shared->mutex) == 0);
            shared->count++;
            shared->order = hash_bytes(shared->order, &i, sizeof i);
            if (n % 40 == 0) sleep_ms(1);
            CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
        }
        _exit(i);
    }
    for (int i = 0; i < 3; i++)
        CHECK(reap(children[i]) == i);
    CHECK(shared->count == 600);
    printf("processes: order %llx\n", (unsigned long long)shared->order);
}

int main(void) {
    threads();
    processes();
    return 0;
}

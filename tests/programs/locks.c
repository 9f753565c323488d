// Everything glibc makes of futexes: conditions, rwlocks, semaphores, barriers, once, timed locks, robust
// mutexes whose owner dies, priority inheritance, mutexes between processes, join, cancellation, keys with
// destructors.
#include "program.h"

#include <semaphore.h>
#include <sys/mman.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static sem_t semaphore;
static int queue[8], head, tail, onces, destroyed, sum, written;

static void run_once(void) {
    onces++;
    sleep_ms(5);
}

static void destroy(void *value) {
    __atomic_fetch_add(&destroyed, (int)(intptr_t)value, __ATOMIC_RELAXED);
}

static void *consume(void *unused) {
    (void)unused;
    pthread_once(&once, run_once);
    pthread_setspecific(key, (void *)1);
    for (;;) {
        pthread_mutex_lock(&mutex);
        while (head == tail)
            pthread_cond_wait(&condition, &mutex);
        int item = queue[tail++ % 8];
        pthread_cond_broadcast(&condition);
        sum += item > 0 ? item : 0;
        pthread_mutex_unlock(&mutex);
        if (item < 0) break;
        pthread_rwlock_rdlock(&rwlock);
        if (item % 50 == 0) sleep_ms(1);
        pthread_rwlock_unlock(&rwlock);
        sem_post(&semaphore);
    }
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void put(int item) {
    pthread_mutex_lock(&mutex);
    while (head - tail == 8)
        pthread_cond_wait(&condition, &mutex);
    queue[head++ % 8] = item;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
}

static void producer_consumer(void) {
    pthread_barrier_init(&barrier, NULL, 4);
    sem_init(&semaphore, 0, 0);
    pthread_key_create(&key, destroy);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, consume, NULL) == 0);
    for (int i = 1; i <= 300; i++) {
        put(i);
        if (i % 10) continue;
        pthread_rwlock_wrlock(&rwlock);
        written++;
        pthread_rwlock_unlock(&rwlock);
    }
    for (int i = 0; i < 3; i++)
        put(-1);
    for (int i = 0; i < 300; i++)
        CHECK(sem_wait(&semaphore) == 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(sum == 45150 && onces == 1 && destroyed == 3 && written == 30);
    printf("producer-consumer: %d\n", sum);
}

static void *die_with(void *m) {
    pthread_mutex_lock(m);
    return NULL; // without unlocking
}

static pthread_mutex_t *shared_mutex(int robust, int protocol) {
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(m != MAP_FAILED);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, robust);
    pthread_mutexattr_setprotocol(&attr, protocol);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    CHECK(pthread_mutex_init(m, &attr) == 0);
    return m;
}

static void robust(void) {
    pthread_mutex_t *m = shared_mutex(PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, die_with, m) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_consistent(m) == 0 &&
          pthread_mutex_unlock(m) == 0);
    int ends[2];
    char byte = 0;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(pthread_mutex_lock(m) == 0);
        CHECK(write(ends[1], &byte, 1) == 1);
        sleep_ms(15);
        _exit(0); // the kernel marks it
    }
    CHECK(read(ends[0], &byte, 1) == 1); // the child has it
    close(ends[0]);
    close(ends[1]);
    int r = pthread_mutex_lock(m); // waits for the dying child, or finds it dead
    CHECK(r == EOWNERDEAD && pthread_mutex_consistent(m) == 0 && pthread_mutex_unlock(m) == 0);
    CHECK(reap(child) == 0);
    puts("robust: two owners died");
}

static void *hold(void *m) {
    pthread_mutex_lock(m);
    sleep_ms(20);
    pthread_mutex_unlock(m);
    return NULL;
}

static void inherit(void) {
    pthread_mutex_t *m = shared_mutex(PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, hold, m) == 0);
    sleep_ms(5);
    CHECK(pthread_mutex_lock(m) == 0 && pthread_mutex_unlock(m) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    puts("priority inheritance: good");
}

static void timed(void) {
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, hold, &m) == 0);
    sleep_ms(5);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 3000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    int r = pthread_mutex_timedlock(&m, &until);
    CHECK(r == ETIMEDOUT || r == 0);
    if (r == 0) pthread_mutex_unlock(&m);
    CHECK(pthread_join(thread, NULL) == 0);
    clock_gettime(CLOCK_REALTIME, &until);
    pthread_mutex_lock(&mutex);
    CHECK(pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    puts("timed: good");
}

static void *wait_for_cancel(void *unused) {
    (void)unused;
    for (;;)
        sleep_ms(1000);
    return NULL;
}

static void cancelled(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_cancel, NULL) == 0);
    sleep_ms(5);
    CHECK(pthread_cancel(thread) == 0);
    void *result;
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    puts("cancelled: good");
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    producer_consumer();
    robust();
    inherit();
    timed();
    cancelled();
    return 0;
}

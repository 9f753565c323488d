// Locks of all kinds, and words that are none: what `refork locks` must tell apart. Each count is checked by
// tests/checks/locks.sh.
#include "program.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { TURNS = 40 };

static atomic_int plain_spin;                    // freed by a plain store
static atomic_flag flag_spin = ATOMIC_FLAG_INIT; // one byte
static atomic_int sleeper; // 0 free, 1 held, 2 held and somebody sleeps: as tcmalloc's SpinLock
static atomic_int references = 1;
static atomic_long statistics;
static atomic_int next_ticket, now_serving; // a ticket lock
static atomic_int running, object;          // a flag, and a count of references that never gets above 1
static int own_word;                        // taken and freed by functions with plain stores only
static pthread_spinlock_t pthread_spin;
static pthread_mutex_t single = PTHREAD_MUTEX_INITIALIZER, normal = PTHREAD_MUTEX_INITIALIZER, inherit,
                       robust;
static pthread_mutex_t recursive;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t permit;
static long guarded;

__attribute__((noinline)) int own_lock(int *word) {
    *(volatile int *)word = 1;
    return 0;
}

__attribute__((noinline)) void own_unlock(int *word) {
    *(volatile int *)word = 0;
}

__attribute__((noinline)) int own_trylock(int *word) {
    if (*(volatile int *)word) return 0;
    *(volatile int *)word = 1;
    return 1;
}

static void take_sleeper(void) {
    int expected = 0;
    if (atomic_compare_exchange_strong(&sleeper, &expected, 1)) return;
    while (atomic_exchange(&sleeper, 2))
        syscall(SYS_futex, &sleeper, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void free_sleeper(void) {
    if (atomic_exchange(&sleeper, 0) == 2) syscall(SYS_futex, &sleeper, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void routine(void) {
    sleep_ms(5);
}

static void *work(void *unused) {
    pthread_once(&once, routine);
    for (int i = 0; i < TURNS; i++) {
        int expected = 0;
        while (!atomic_compare_exchange_weak(&plain_spin, &expected, 1)) {
            expected = 0;
            sched_yield();
        }
        guarded++;
        if (i % 10 == 0) sched_yield();
        atomic_store_explicit(&plain_spin, 0, memory_order_release);
        while (atomic_flag_test_and_set(&flag_spin))
            sched_yield();
        guarded++;
        atomic_flag_clear_explicit(&flag_spin, memory_order_release);
        take_sleeper();
        if (i % 8 == 0) sleep_ms(1);
        free_sleeper();
        atomic_fetch_add(&references, 1);
        atomic_fetch_add(&statistics, 7);
        atomic_fetch_sub(&references, 1);
        atomic_store(&running, 1);
        atomic_store(&running, 0);
        int ticket = atomic_fetch_add(&next_ticket, 1);
        while (atomic_load(&now_serving) != ticket)
            sched_yield();
        atomic_fetch_add(&now_serving, 1);
        pthread_spin_lock(&pthread_spin);
        guarded++;
        pthread_spin_unlock(&pthread_spin);
        pthread_mutex_lock(&normal);
        if (i % 16 == 0) sleep_ms(1);
        pthread_mutex_unlock(&normal);
        pthread_mutex_lock(&inherit);
        if (i % 20 == 0) sleep_ms(1);
        pthread_mutex_unlock(&inherit);
        pthread_mutex_lock(&recursive);
        pthread_mutex_lock(&recursive);
        pthread_mutex_unlock(&recursive);
        pthread_mutex_unlock(&recursive);
        pthread_rwlock_rdlock(&rwlock);
        pthread_rwlock_unlock(&rwlock);
        if (i % 4 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            pthread_rwlock_unlock(&rwlock);
        }
        sem_wait(&permit);
        sem_post(&permit);
    }
    return unused;
}

static void *die_with_robust(void *unused) {
    pthread_mutex_lock(&robust);
    return unused;
}

static void one_thread(void) {
    for (int i = 0; i < 7; i++) {
        pthread_mutex_lock(&single);
        if (i == 3) sleep_ms(1);
        pthread_mutex_unlock(&single);
    }
    for (int i = 0; i < 5; i++) {
        own_lock(&own_word);
        if (own_trylock(&own_word)) abort();
        if (i == 2) sleep_ms(1);
        own_unlock(&own_word);
    }
    if (!own_trylock(&own_word)) abort();
    own_unlock(&own_word);
    for (int i = 0; i < 5; i++) {
        atomic_store(&object, 1);
        sleep_ms(1);
        if (atomic_fetch_sub(&object, 1) != 1) abort();
    }
}

static void make_mutexes(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_NORMAL);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inherit, &attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_NONE);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
}

// A mutex that two processes take in turn.
static int shared_mutex(void) {
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(m, &attributes);
    pid_t child = fork();
    for (int i = 0; i < 10; i++) {
        pthread_mutex_lock(m);
        sleep_ms(1);
        pthread_mutex_unlock(m);
    }
    if (!child) _exit(0);
    int status;
    waitpid(child, &status, 0);
    return status;
}

int main(void) {
    pthread_t threads[3];
    one_thread();
    make_mutexes();
    pthread_spin_init(&pthread_spin, 0);
    sem_init(&permit, 0, 1);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    pthread_create(&threads[0], NULL, die_with_robust, NULL);
    pthread_join(threads[0], NULL);
    int robust_result = pthread_mutex_lock(&robust);
    pthread_mutex_consistent(&robust);
    pthread_mutex_unlock(&robust);
    int shared_result = shared_mutex();
    // At this fork main holds `normal` and plain_spin, and nothing else of these.
    pthread_mutex_lock(&normal);
    atomic_exchange(&plain_spin, 1);
    pid_t child = fork();
    if (!child) _exit(0);
    waitpid(child, NULL, 0);
    atomic_store_explicit(&plain_spin, 0, memory_order_release);
    pthread_mutex_unlock(&normal);
    printf("%ld %d %d %ld\n", guarded, robust_result == EOWNERDEAD, shared_result, statistics);
    return 0;
}

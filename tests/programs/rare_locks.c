// A fork that hits a lock once in very many runs: a worker takes it for some nanoseconds every 5 ms, the child takes it, too.
//   rare_locks KIND            the child uses the lock
//   rare_locks KIND protected  fork handlers take it
//   rare_locks KIND unused     the child does not use it
//   rare_locks KIND alone      the worker does not use it
#include "program.h"

#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static sem_t sem;
static int word; // of an inlined spinlock
static volatile int used, stop;
static const struct kind *kind;
static const char *how;

static void mutex_lock(void) {
    pthread_mutex_lock(&mutex);
}
static void mutex_unlock(void) {
    pthread_mutex_unlock(&mutex);
}
static void recursive_lock(void) {
    pthread_mutex_lock(&recursive);
}
static void recursive_unlock(void) {
    pthread_mutex_unlock(&recursive);
}
static void read_lock(void) {
    pthread_rwlock_rdlock(&rwlock);
}
static void write_lock(void) {
    pthread_rwlock_wrlock(&rwlock);
}
static void rw_unlock(void) {
    pthread_rwlock_unlock(&rwlock);
}
static void spin_lock(void) {
    pthread_spin_lock(&spin);
}
static void spin_unlock(void) {
    pthread_spin_unlock(&spin);
}
static void take_permit(void) {
    sem_wait(&sem);
}
static void give_permit(void) {
    sem_post(&sem);
}

static inline __attribute__((always_inline)) void xchg_lock(void) {
    while (__atomic_exchange_n(&word, 1, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
}
static inline __attribute__((always_inline)) void xchg_unlock(void) {
    __atomic_store_n(&word, 0, __ATOMIC_RELEASE);
}
static void inlined_lock(void) {
    xchg_lock();
}
static void inlined_unlock(void) {
    xchg_unlock();
}

// No lock, but from outside it looks like the word of one: numbers in some bits, a flag in another.
static void count(void) {
    __atomic_fetch_add(&word, 2, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&word, 1, __ATOMIC_SEQ_CST);
}

// glibc's own lock: there is nothing that could be taken by a handler.
static void environment(void) {
    setenv("RARE", "1", 1);
}

static void nothing(void) {}

static const struct kind {
    const char *name;
    void (*lock)(void), (*unlock)(void), (*child_lock)(void);
} kinds[] = {
    {"mutex", mutex_lock, mutex_unlock, mutex_lock},
    {"recursive", recursive_lock, recursive_unlock, recursive_lock},
    {"rwlock", write_lock, rw_unlock, read_lock},
    {"reader", read_lock, rw_unlock, write_lock},
    {"spin", spin_lock, spin_unlock, spin_lock},
    {"sem", take_permit, give_permit, take_permit},
    {"xchg", inlined_lock, inlined_unlock, inlined_lock},
    {"setenv", environment, nothing, environment},
    {"counter", count, nothing, count},
};

static void *work(void *unused) {
    (void)unused;
    while (!stop) {
        sleep_ms(5);
        if (!strcmp(how, "alone")) continue;
        kind->lock();
        used++;
        kind->unlock();
    }
    return NULL;
}

static void before(void) {
    kind->lock();
}
static void after(void) {
    kind->unlock();
}

int main(int argc, char **argv) {
    how = argc > 2 ? argv[2] : "";
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, argv[1])) kind = &kinds[i];
    CHECK(kind);
    CHECK(!pthread_spin_init(&spin, 0) && !sem_init(&sem, 0, 1));
    if (!strcmp(how, "protected")) CHECK(!pthread_atfork(before, after, after));
    pthread_t worker;
    CHECK(!pthread_create(&worker, NULL, work, NULL));
    sleep_ms(12);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            if (strcmp(how, "unused") != 0) {
                kind->child_lock();
                kind->unlock();
            }
            _exit(7);
        }
        CHECK(reap(child) == 7);
        sleep_ms(6);
    }
    stop = 1;
    pthread_join(worker, NULL);
    puts("done");
    return 0;
}

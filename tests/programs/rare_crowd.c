// 30 threads, 200 inlined spinlocks with an instruction of its own each, 50 forks: one child takes one lock that a thread
// takes as well. All the others take locks that handlers protect, or that nobody else takes.
#include "program.h"

enum { THREADS = 30, LOCKS = 200, FORKS = 50, DEADLY_FORK = 36, DEADLY_LOCK = 117 };

static int words[LOCKS];
static volatile int counts[LOCKS], stop;
static int child_word;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

#define USE(n)                                                                                               \
    static __attribute__((noinline)) void use_##n(void) {                                                    \
        while (__atomic_exchange_n(&words[n], 1, __ATOMIC_ACQUIRE))                                          \
            __builtin_ia32_pause();                                                                          \
        counts[n]++;                                                                                         \
        __atomic_store_n(&words[n], 0, __ATOMIC_RELEASE);                                                    \
    }
#define NAME(n) use_##n,
// Numbers 0 to 199: tens without a leading zero.
// clang-format off
#define TEN(X, t) X(t##0) X(t##1) X(t##2) X(t##3) X(t##4) X(t##5) X(t##6) X(t##7) X(t##8) X(t##9)
#define ALL(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) \
    TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) TEN(X, 7) TEN(X, 8) TEN(X, 9) TEN(X, 10) \
    TEN(X, 11) TEN(X, 12) TEN(X, 13) TEN(X, 14) TEN(X, 15) TEN(X, 16) TEN(X, 17) TEN(X, 18) TEN(X, 19)
ALL(USE)
// clang-format on
static void (*const uses[LOCKS])(void) = {ALL(NAME)};

static void log_entry(void) {
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_unlock(&log_mutex);
}

static void *work(void *number) {
    for (unsigned round = 0; !stop; round++) {
        sleep_ms(4);
        for (int k = (int)(intptr_t)number; k < LOCKS; k += THREADS)
            uses[k]();
        log_entry();
    }
    return NULL;
}

static void before(void) {
    pthread_mutex_lock(&log_mutex);
}

static void after(void) {
    pthread_mutex_unlock(&log_mutex);
}

static void child_main(int fork_number) {
    log_entry();
    while (__atomic_exchange_n(&child_word, 1, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
    __atomic_store_n(&child_word, 0, __ATOMIC_RELEASE);
    if (fork_number == DEADLY_FORK) uses[DEADLY_LOCK]();
    _exit(7);
}

int main(void) {
    pthread_t threads[THREADS];
    CHECK(!pthread_atfork(before, after, after));
    for (int i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i));
    sleep_ms(10);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) child_main(i);
        CHECK(reap(child) == 7);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts("done");
    return 0;
}

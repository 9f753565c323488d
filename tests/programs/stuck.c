// Children of forks that wait for ever, each in another way: stuck CASE. A thread of the parent takes what the child
// wants before the fork; the parent waits for its child.
#include "program.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t read_held = PTHREAD_RWLOCK_INITIALIZER, write_held = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_spinlock_t spin;
static sem_t sem;
static atomic_int word;
static volatile int flag;
static atomic_uint next_ticket, serving;

static struct timespec soon(long us) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += us * 1000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static void pause_us(long us) {
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

// ---- what the parent's thread holds

static atomic_int held;
static bool quiet; // it waits for something that never comes, else for a signal: it may still move

static void *holder(void *unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    pthread_rwlock_rdlock(&read_held);
    pthread_rwlock_wrlock(&write_held);
    pthread_spin_lock(&spin);
    atomic_store(&word, 1);
    atomic_fetch_add(&next_ticket, 1);
    atomic_store(&held, 1);
    while (quiet)
        sem_wait(&sem);
    for (;;)
        pause();
    return NULL;
}

// ---- what the child does

// As tcmalloc's SpinLock: longer and longer waits, each a little random.
static void futex_backoff(void) {
    static uint64_t random = 1;
    for (int loop = 0, expected; expected = 0, !atomic_compare_exchange_strong(&word, &expected, 1); loop++) {
        atomic_exchange(&word, 2);
        random = random * 0x5deece66d + 0xb;
        int step = loop > 12 ? 12 : loop;
        struct timespec t = {0, (long)(100000 << step / 4) + (long)(random >> 48)};
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, &t);
    }
}

// As CPython's take_gil.
static void condition(void) {
    static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&own);
    while (atomic_load(&word)) {
        struct timespec t = soon(5000);
        pthread_cond_timedwait(&cond, &own, &t);
    }
}

// In one iteration of four the deadline's nanoseconds exceed a second.
static void mutex_quarters(void) {
    struct timespec t;
    do
        t = soon(250000);
    while (pthread_mutex_timedlock(&mutex, &t) == ETIMEDOUT);
}

static void mutex_timedlock(void) {
    struct timespec t;
    do
        t = soon(2000);
    while (pthread_mutex_timedlock(&mutex, &t) == ETIMEDOUT);
}

static void sem_timed(void) {
    struct timespec t;
    do
        t = soon(2000);
    while (sem_timedwait(&sem, &t) < 0);
}

// As curl's easy_lock.
static void yield_exchange(void) {
    while (atomic_exchange(&word, 1))
        while (atomic_load(&word))
            sched_yield();
}

static void nanosleep_exchange(void) {
    while (atomic_exchange(&word, 1))
        pause_us(500);
}

static void nanosleep_flag(void) {
    while (!flag)
        pause_us(500);
}

static void poll_flag(void) {
    while (!flag)
        poll(NULL, 0, 1);
}

static void spin_lock(void) {
    pthread_spin_lock(&spin);
}

static void spin_exchange(void) {
    while (atomic_exchange(&word, 1))
        continue;
}

static void spin_ttas(void) {
    for (;;) {
        while (atomic_load_explicit(&word, memory_order_relaxed))
            __builtin_ia32_pause();
        if (!atomic_exchange(&word, 1)) return;
    }
}

// Backs off for longer and longer, up to a limit.
static void spin_backoff(void) {
    for (int delay = 1; atomic_exchange(&word, 1);) {
        for (int i = 0; i < delay; i++)
            __builtin_ia32_pause();
        if (delay < 64) delay *= 2;
    }
}

static void spin_ticket(void) {
    unsigned mine = atomic_fetch_add(&next_ticket, 1);
    while (atomic_load(&serving) != mine)
        __builtin_ia32_pause();
}

static void spin_flag(void) {
    while (!flag)
        continue;
}

static void spin_counted(void) {
    static volatile unsigned long spins;
    while (atomic_exchange(&word, 1))
        spins++;
}

static void spin_trylock(void) {
    while (pthread_spin_trylock(&spin))
        continue;
}

static void wait_mutex(void) {
    pthread_mutex_lock(&mutex);
}

static void write_read(void) {
    pthread_rwlock_wrlock(&read_held);
}

static void read_written(void) {
    pthread_rwlock_rdlock(&write_held);
}

static void write_written(void) {
    pthread_rwlock_wrlock(&write_held);
}

static void *waits_too(void *unused) {
    (void)unused;
    nanosleep_exchange();
    return NULL;
}

// The child makes a thread of its own, and both wait.
static void two_threads(void) {
    pthread_t t;
    CHECK(!pthread_create(&t, NULL, waits_too, NULL));
    spin_lock();
}

// ---- pipes: nobody waits for a child, all wait for the end of a pipe that one of them keeps open

// The parent reads what its child writes until the end of file; the child's own child has the write end, too, and waits
// for what the parent holds.
static void read_pipe(void) {
    int fds[2];
    char buffer[64];
    CHECK(pipe(fds) == 0);
    if (!fork()) {
        pthread_mutex_lock(&mutex);
        _exit(0);
    }
    close(fds[1]);
    CHECK(read(fds[0], buffer, sizeof buffer) >= 0);
}

// Has its own write end still: the classic mistake.
static void read_own_pipe(void) {
    int fds[2];
    char c;
    CHECK(pipe(fds) == 0);
    if (!fork()) _exit(0);
    CHECK(read(fds[0], &c, 1) == 0);
}

static void poll_pipe(void) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    poll(&p, 1, -1);
}

static void write_pipe(void) {
    static char bytes[1 << 20];
    int fds[2];
    CHECK(pipe(fds) == 0);
    if (write(fds[1], bytes, sizeof bytes) < 0) _exit(1);
}

// Two workers with a pipe each; the second has the first one's write end as well, so that closing it is not enough.
static void read_inherited(void) {
    int first[2], second[2];
    char c;
    CHECK(pipe(first) == 0);
    pid_t pid = fork();
    if (!pid) {
        close(first[1]);
        while (read(first[0], &c, 1) > 0)
            continue;
        _exit(0);
    }
    CHECK(pipe(second) == 0);
    if (!fork()) {
        close(second[1]);
        while (read(second[0], &c, 1) > 0)
            continue;
        _exit(0);
    }
    close(first[1]);
    CHECK(reap(pid) == 0);
}

static const struct row {
    const char *name;
    void (*wait)(void);
    enum {
        MOVES,
        QUIET,
        POLLS,    // it asks now and then whether the child has ended
        COMPUTES, // and does nothing else, for ever
    } parent;
} cases[] = {
    {"futex-backoff", futex_backoff, MOVES},
    {"condition", condition, MOVES},
    {"mutex-timedlock", mutex_timedlock, MOVES},
    {"mutex-quarters", mutex_quarters, MOVES},
    {"sem-timedwait", sem_timed, MOVES},
    {"yield-exchange", yield_exchange, MOVES},
    {"nanosleep-exchange", nanosleep_exchange, MOVES},
    {"nanosleep-flag", nanosleep_flag, MOVES},
    {"poll-flag", poll_flag, MOVES},
    {"spin-lock", spin_lock, MOVES},
    {"spin-exchange", spin_exchange, MOVES},
    {"spin-ttas", spin_ttas, MOVES},
    {"spin-backoff", spin_backoff, MOVES},
    {"spin-ticket", spin_ticket, MOVES},
    {"spin-flag", spin_flag, MOVES},
    {"spin-counted", spin_counted, MOVES},
    {"spin-trylock", spin_trylock, MOVES},
    {"rwlock-write-read", write_read, MOVES},
    {"rwlock-read-written", read_written, MOVES},
    {"rwlock-write-written", write_written, MOVES},
    {"read-pipe", read_pipe, MOVES},
    {"read-own-pipe", read_own_pipe, QUIET},
    {"poll-pipe", poll_pipe, QUIET},
    {"write-pipe", write_pipe, QUIET},
    {"read-inherited", read_inherited, QUIET},
    {"polled-mutex", wait_mutex, POLLS},
    {"polled-futex", futex_backoff, POLLS},
    {"polled-yield", yield_exchange, POLLS},
    {"polled-spin", spin_lock, POLLS},
    {"ignored-mutex", wait_mutex, COMPUTES},
    {"two-threads", two_threads, MOVES},
};

int main(int argc, char **argv) {
    const struct row *row = CASE_OF(cases, argc, argv);
    if (!row) return argc > 1;
    pthread_t t;
    quiet = row->parent == QUIET;
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    sem_init(&sem, 0, 0);
    CHECK(!pthread_create(&t, NULL, holder, NULL));
    while (!atomic_load(&held))
        sched_yield();
    pid_t pid = fork();
    if (!pid) {
        row->wait();
        _exit(0);
    }
    for (volatile long n = 0; row->parent == COMPUTES;)
        n = n * 3 + 1;
    while (waitpid(pid, NULL, row->parent == POLLS ? WNOHANG : 0) == 0)
        pause_us(2000);
    puts("the child has ended");
    return 0;
}

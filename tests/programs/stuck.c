// Children of forks that wait for ever, each in another way: stuck CASE. A thread of the parent takes what the child
// wants before the fork; the parent waits for its child.
#include "program.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
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

static void *holder(void *unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    pthread_spin_lock(&spin);
    atomic_store(&word, 1);
    atomic_fetch_add(&next_ticket, 1);
    atomic_store(&held, 1);
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

static const struct row {
    const char *name;
    void (*wait)(void);
} cases[] = {
    {"futex-backoff", futex_backoff},
    {"condition", condition},
    {"mutex-timedlock", mutex_timedlock},
    {"sem-timedwait", sem_timed},
    {"yield-exchange", yield_exchange},
    {"nanosleep-exchange", nanosleep_exchange},
    {"nanosleep-flag", nanosleep_flag},
    {"poll-flag", poll_flag},
    {"spin-lock", spin_lock},
    {"spin-exchange", spin_exchange},
    {"spin-ttas", spin_ttas},
    {"spin-backoff", spin_backoff},
    {"spin-ticket", spin_ticket},
    {"spin-flag", spin_flag},
    {"spin-counted", spin_counted},
    {"spin-trylock", spin_trylock},
};

int main(int argc, char **argv) {
    const struct row *row = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc < 2) puts(cases[i].name);
        if (argc > 1 && !strcmp(argv[1], cases[i].name)) row = &cases[i];
    }
    if (!row) return argc > 1;
    pthread_t t;
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
    waitpid(pid, NULL, 0);
    puts("the child has ended");
    return 0;
}

// Twins with locks of glibc's pthreads and of C11, and such as are made of an atomic.
#include "tests/twins/rare.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <ucontext.h>

// ---- mutexes

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void mutex_lock(void) {
    pthread_mutex_lock(&log_mutex);
}
static void mutex_unlock(void) {
    pthread_mutex_unlock(&log_mutex);
}

static void mutex_make(int type, int protocol, int robust) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type);
    pthread_mutexattr_setprotocol(&attr, protocol);
    pthread_mutexattr_setrobust(&attr, robust);
    pthread_mutex_init(&log_mutex, &attr);
}
static void make_adaptive(void) {
    mutex_make(PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
}
static void make_errorcheck(void) {
    mutex_make(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
}
static void make_recursive(void) {
    mutex_make(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
}
static void make_pi(void) {
    mutex_make(PTHREAD_MUTEX_DEFAULT, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
}
static void make_robust(void) {
    mutex_make(PTHREAD_MUTEX_DEFAULT, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
}

static void mutex_try_for_5_ms(void) {
    struct timespec until;
    do {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    } while (pthread_mutex_timedlock(&log_mutex, &until) == ETIMEDOUT);
}

static mtx_t c11_mutex;

static void c11_make(void) {
    mtx_init(&c11_mutex, mtx_plain);
}
static void c11_lock(void) {
    mtx_lock(&c11_mutex);
}
static void c11_unlock(void) {
    mtx_unlock(&c11_mutex);
}

// A fiber that takes the mutex and gives its thread to another one.
static ucontext_t scheduler, fiber;
static char stack[65536];

static void log_fiber(void) {
    for (;;) {
        pthread_mutex_lock(&log_mutex);
        swapcontext(&fiber, &scheduler);
        pthread_mutex_unlock(&log_mutex);
        swapcontext(&fiber, &scheduler);
    }
}
static void fiber_make(void) {
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack;
    fiber.uc_stack.ss_size = sizeof stack;
    makecontext(&fiber, log_fiber, 0);
}
static void fiber_turn(void) {
    swapcontext(&scheduler, &fiber);
}

// What a thread has of its own: with mimalloc its heap, too.
static __thread struct {
    int count;
    char *reports[16];
} recent;

static void report_lock(void) {
    if (recent.count < 16) recent.reports[recent.count++] = malloc(100);
    pthread_mutex_lock(&log_mutex);
}

// ---- mutexes elsewhere

static pthread_mutex_t *made_mutex;

static void mutex_on_heap(void) {
    struct queue {
        char name[24];
        pthread_mutex_t lock;
    } *q = calloc(1, sizeof *q);
    if (!q) abort();
    made_mutex = &q->lock;
    pthread_mutex_init(made_mutex, NULL);
}
static void map_mutex(int flags) {
    made_mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (made_mutex == MAP_FAILED) abort();
}
static void mutex_in_pool(void) {
    map_mutex(MAP_PRIVATE);
    pthread_mutex_init(made_mutex, NULL);
}
static void made_lock(void) {
    pthread_mutex_lock(made_mutex);
}
static void made_unlock(void) {
    pthread_mutex_unlock(made_mutex);
}

// What others want of the child while it hangs.
static void mutex_of_processes(void) {
    pthread_mutexattr_t attr;
    map_mutex(MAP_SHARED);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(made_mutex, &attr);
}
static void lock_both(void) {
    pthread_mutex_lock(made_mutex);
    pthread_mutex_lock(&log_mutex);
}

static int ranges;
static void open_ranges(void) {
    ranges = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    if (ranges < 0) abort();
}
static void lock_range_first(void) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10};
    if (fcntl(ranges, F_SETLKW, &range)) abort();
    pthread_mutex_lock(&log_mutex);
}

// ---- other locks of pthreads

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void table_make(void) {
    pthread_rwlock_init(&table_lock, NULL);
}
static void table_read(void) {
    pthread_rwlock_rdlock(&table_lock);
}
static void table_write(void) {
    pthread_rwlock_wrlock(&table_lock);
}
static void table_unlock(void) {
    pthread_rwlock_unlock(&table_lock);
}

static sem_t log_permit;

static void permit_make(void) {
    sem_init(&log_permit, 0, 1);
}
static void permit_take(void) {
    sem_wait(&log_permit);
}
static void permit_give(void) {
    sem_post(&log_permit);
}

static pthread_spinlock_t pthread_spin;

static void pspin_make(void) {
    pthread_spin_init(&pthread_spin, 0);
}
static void pspin_lock(void) {
    pthread_spin_lock(&pthread_spin);
}
static void pspin_unlock(void) {
    pthread_spin_unlock(&pthread_spin);
}

// ---- words of the program's own

static atomic_int counter_lock;

static void futex_lock(void) {
    int unlocked = 0;
    if (atomic_compare_exchange_strong(&counter_lock, &unlocked, 1)) return;
    while (atomic_exchange(&counter_lock, 2))
        syscall(SYS_futex, &counter_lock, FUTEX_WAIT_PRIVATE, 2, NULL);
}
static void futex_unlock(void) {
    if (atomic_exchange(&counter_lock, 0) == 2) syscall(SYS_futex, &counter_lock, FUTEX_WAKE_PRIVATE, 1);
}

static struct { atomic_uint next, served; } ticket;

static void ticket_lock(void) {
    unsigned mine = atomic_fetch_add(&ticket.next, 1);
    while (atomic_load(&ticket.served) != mine)
        __builtin_ia32_pause();
}
static void ticket_unlock(void) {
    atomic_fetch_add(&ticket.served, 1);
}

// Not unlocked: whoever draws a number while the handlers hold the lock vanishes with it, and nobody serves that number.
static void ticket_reset(void) {
    ticket.next = ticket.served = 0;
}

static void ttas_lock(void) {
    while (atomic_exchange(&counter_lock, 1))
        while (atomic_load(&counter_lock))
            __builtin_ia32_pause();
}
static void yield_lock(void) {
    while (atomic_exchange(&counter_lock, 1))
        sched_yield();
}
static void nap_lock(void) {
    while (atomic_exchange(&counter_lock, 1))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}
static void word_unlock(void) {
    atomic_store(&counter_lock, 0);
}

static void lock_more(void) {
    pthread_mutex_lock(&log_mutex);
    ttas_lock();
}
static void unlock_more(void) {
    word_unlock();
    pthread_mutex_unlock(&log_mutex);
}

#define MUTEX .lock = mutex_lock, .unlock = mutex_unlock
// Of these the child of a fork cannot unlock what its parent locked: the owner's TID is in them.
#define OWNED(make) MUTEX, .set_up = make, .in_child = make

static const struct twin twins[] = {
    {"mutex_deadlock", MUTEX},
    {"grandchild", MUTEX, .nested = true},
    {"mutex_adaptive", MUTEX, .set_up = make_adaptive},
    {"mutex_timed", MUTEX, .child = mutex_try_for_5_ms},
    {"mutex_errorcheck", OWNED(make_errorcheck)},
    {"mutex_recursive", OWNED(make_recursive)},
    {"mutex_robust", OWNED(make_robust)},
    {"mutex_pi", OWNED(make_pi), .late = true},
    {"mtx_c11", .set_up = c11_make, .lock = c11_lock, .unlock = c11_unlock},
    {"fiber", .set_up = fiber_make, .lock = fiber_turn, .unlock = fiber_turn, .child = mutex_lock,
     .before = mutex_lock, .in_parent = mutex_unlock, .in_child = mutex_unlock},
    {"heap_mutex", .set_up = mutex_on_heap, .lock = made_lock, .unlock = made_unlock},
    {"heap_pool", .set_up = mutex_in_pool, .lock = made_lock, .unlock = made_unlock},
    {"held_more", .lock = lock_more, .unlock = unlock_more, .child = mutex_lock},
    {"shared_mutex_stuck", MUTEX, .set_up = mutex_of_processes, .child = lock_both},
    {"fcntl_stuck", MUTEX, .set_up = open_ranges, .child = lock_range_first},
    {"thread_heaps", .lock = report_lock, .unlock = mutex_unlock},
    {"rwlock_reader", .lock = table_read, .unlock = table_unlock, .child = table_write, .before = table_write,
     .in_child = table_make},
    {"rwlock_writer_reader", .lock = table_write, .unlock = table_unlock, .child = table_read,
     .in_child = table_make},
    {"rwlock_writer_writer", .lock = table_write, .unlock = table_unlock, .in_child = table_make},
    {"sem_lock", .set_up = permit_make, .lock = permit_take, .unlock = permit_give},
    {"spin_pthread", .set_up = pspin_make, .lock = pspin_lock, .unlock = pspin_unlock},
    {"futex_word", .lock = futex_lock, .unlock = futex_unlock},
    {"spin_ticket", .lock = ticket_lock, .unlock = ticket_unlock, .in_child = ticket_reset},
    {"spin_ttas", .lock = ttas_lock, .unlock = word_unlock},
    {"spin_yield", .lock = yield_lock, .unlock = word_unlock},
    {"spin_nanosleep", .lock = nap_lock, .unlock = word_unlock},
};

int main(int argc, char **argv) {
    return rare_main(argc, argv, twins, sizeof twins / sizeof *twins);
}

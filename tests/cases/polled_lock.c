// A child polls a lock that a vanished thread holds. First argument: the lock, and who holds it; second: what the loop does
// between two tries; a third one: the loop reads a global that has nothing to do with it.
//
// case mutex spin: orphaned-spin lock=mutex
// case mutex sleep: orphaned-* lock=mutex
// case mutex yield: orphaned-* lock=mutex
// case mutex spin verbose: orphaned-spin lock=mutex
// case mutex sleep verbose: orphaned-* lock=mutex
// case read spin: orphaned-spin lock=rwlock
// case read sleep: orphaned-* lock=rwlock
// case read yield verbose: orphaned-* lock=rwlock
// case write spin verbose: orphaned-spin lock=rwlock
// case write sleep: orphaned-* lock=rwlock
// case write yield: orphaned-* lock=rwlock
// case written spin: orphaned-spin lock=rwlock
// case written sleep verbose: orphaned-* lock=rwlock
// case spinlock spin verbose: orphaned-spin lock=spinlock
// case spinlock sleep: orphaned-* lock=spinlock
// case spinlock yield: orphaned-* lock=spinlock
// case semaphore spin: orphaned-spin lock=semaphore
// case semaphore sleep: orphaned-* lock=semaphore
// case semaphore yield verbose: orphaned-* lock=semaphore
#include "samples/stage.h"

#include <sched.h>
#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spinlock;
static sem_t semaphore;
static const char *what;
int verbose;

static void *keep(void *nothing) {
    if (!strcmp(what, "mutex")) pthread_mutex_lock(&mutex);
    if (!strcmp(what, "read")) pthread_rwlock_rdlock(&rwlock);
    if (!strcmp(what, "write") || !strcmp(what, "written")) pthread_rwlock_wrlock(&rwlock);
    if (!strcmp(what, "spinlock")) pthread_spin_lock(&spinlock);
    if (!strcmp(what, "semaphore")) sem_wait(&semaphore);
    hold_over_fork();
    return nothing;
}

static int try_it(void) {
    switch (*what) {
    case 'm':
        return pthread_mutex_trylock(&mutex);
    case 'r':
        return pthread_rwlock_trywrlock(&rwlock);
    case 'w':
        return strcmp(what, "write") ? pthread_rwlock_tryrdlock(&rwlock) : pthread_rwlock_trywrlock(&rwlock);
    default:
        return strcmp(what, "semaphore") ? pthread_spin_trylock(&spinlock) : sem_trywait(&semaphore);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    what = argv[1];
    pthread_spin_init(&spinlock, 0);
    sem_init(&semaphore, 0, 1);
    thread_start(keep);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        while (try_it()) {
            if (argc > 3 && *(volatile int *)&verbose) say("busy");
            if (!strcmp(argv[2], "sleep")) usleep(1000);
            if (!strcmp(argv[2], "yield")) sched_yield();
        }
        _exit(0);
    }
    return reap(child);
}

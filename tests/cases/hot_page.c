// Locks in a page that busy threads write all the time, before the fork and in most children. Argument: which lock the vanished thread
// holds; or what makes the child's wait end.
//
// case mutex: orphaned-lock confidence=proved lock=page.mutex holder=writer
// case rwlock: orphaned-lock confidence=proved lock=page.rwlock holder=writer
// case spin: orphaned-spin confidence=proved lock=page.spin holder=writer
// case named: orphaned-spin confidence=proved lock=page.spin holder=writer findings=2
// case semaphore: orphaned-lock lock=page.permits holder=writer
// case often: orphaned-lock confidence=proved lock=page.mutex holder=writer
// case remake: none
// case post: none
#include "samples/stage.h"

#include <semaphore.h>

static struct {
    _Alignas(4096) volatile unsigned long counted;
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
    pthread_spinlock_t spin;
    sem_t permits;
} page = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rwlock = PTHREAD_RWLOCK_INITIALIZER};
static const char *what;
static volatile int over; // the parent's fork, of which nothing has to be replayed then

static int is(const char *name) {
    return !strcmp(what, name);
}

static void take(void) {
    for (int i = 0; i < 30000 && is("often"); i++) {
        pthread_mutex_lock(&page.mutex);
        pthread_mutex_unlock(&page.mutex);
    }
    if (is("rwlock"))
        pthread_rwlock_wrlock(&page.rwlock);
    else if (is("spin") || is("named"))
        pthread_spin_lock(&page.spin);
    else if (is("semaphore") || is("post"))
        sem_wait(&page.permits);
    else
        pthread_mutex_lock(&page.mutex);
}

static void *write_log(void *nothing) {
    thread_name("writer");
    take();
    hold_over_fork();
    return nothing;
}

static void *count(void *nothing) {
    while (!over)
        page.counted++;
    return nothing;
}

// A pointer that is looked at between two naps is no lock that main holds.
static void *nap(void *nothing) {
    for (;;)
        if (!is("")) usleep(50000);
    return nothing;
}

static void *post(void *nothing) {
    usleep(500000);
    sem_post(&page.permits);
    return nothing;
}

static int worker(void) {
    if (!is("spin") && !is("semaphore")) thread_start(is("post") ? post : is("named") ? nap : count);
    if (is("remake")) pthread_mutex_init(&page.mutex, NULL);
    take();
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    what = argv[1];
    pthread_spin_init(&page.spin, PTHREAD_PROCESS_PRIVATE);
    sem_init(&page.permits, 0, 1);
    thread_start(count);
    thread_start(write_log);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) _exit(worker());
    over = 1;
    return reap(child);
}

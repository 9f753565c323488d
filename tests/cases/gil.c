// An interpreter lock made as CPython makes its own (ceval_gil.h): who wants it waits in turns of 5 ms. A library forks while a thread
// holds it, and starts a thread in the child that goes on. First argument: what that thread does, and whether ("none") the lock comes
// late, from a thread of the child.
//
// case nap: orphaned-lock lockkind=Python_GIL holder=runner
// case events: orphaned-lock lockkind=Python_GIL holder=runner
// case slow: none
// case drops: none
#include "samples/stage.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>

enum { TURN_NS = 5000000 };

static struct gil {
    unsigned long interval;
    void *last_holder;
    atomic_int locked;
    unsigned long switch_number;
    pthread_cond_t cond;
    pthread_mutex_t mutex;
} gil __attribute__((aligned(4096))) = {.cond = PTHREAD_COND_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER};
static atomic_int drop_request;

__attribute__((noinline)) static void take_gil(void) {
    pthread_mutex_lock(&gil.mutex);
    while (atomic_load(&gil.locked)) {
        struct timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_nsec += TURN_NS;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        unsigned long before = gil.switch_number;
        int timed_out = pthread_cond_timedwait(&gil.cond, &gil.mutex, &end) == ETIMEDOUT;
        if (timed_out && atomic_load(&gil.locked) && gil.switch_number == before)
            atomic_store(&drop_request, 1);
    }
    atomic_store(&gil.locked, 1);
    gil.switch_number++;
    pthread_mutex_unlock(&gil.mutex);
}

__attribute__((noinline)) static void drop_gil(void) {
    pthread_mutex_lock(&gil.mutex);
    atomic_store(&gil.locked, 0);
    pthread_cond_signal(&gil.cond);
    pthread_mutex_unlock(&gil.mutex);
}

static void *run_in_parent(void *nothing) {
    thread_name("runner");
    take_gil();
    hold_over_fork();
    drop_gil();
    return nothing;
}

static void *nap(void *nothing) {
    for (;;)
        usleep(20000);
    return nothing;
}

static void *await_events(void *nothing) {
    struct epoll_event event;
    int set = epoll_create1(EPOLL_CLOEXEC);
    while (epoll_wait(set, &event, 1, 30) >= 0)
        ;
    return nothing;
}

static void nap_for_three_seconds(void) {
    for (int i = 0; i < 150; i++)
        usleep(20000);
}

static void *drop_late(void *nothing) {
    nap_for_three_seconds();
    drop_gil();
    return nothing;
}

static struct gate taken;

static void *hold_for_long(void *nothing) {
    drop_gil();
    take_gil();
    gate_open(&taken);
    nap_for_three_seconds();
    drop_gil();
    return nothing;
}

static void run_child(const char *job) {
    if (!strcmp(job, "nap")) thread_start(nap);
    if (!strcmp(job, "events")) thread_start(await_events);
    if (!strcmp(job, "drops")) thread_start(drop_late);
    if (!strcmp(job, "slow")) {
        if (pipe(taken.fd)) abort();
        thread_start(hold_for_long);
        gate_wait(&taken);
    }
    take_gil();
    _exit(0);
}

int main(int argc, char **argv) {
    thread_start(run_in_parent);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) run_child(argc > 1 ? argv[1] : "nap");
    gate_open(&forked);
    return reap(child);
}

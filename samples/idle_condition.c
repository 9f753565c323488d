// The child waits for a condition that only the worker would have signalled. Threads idle beside it: one in the child, which pauses, and
// one in the parent, on an empty set of epoll. Nothing ever wakes them, so they wake nobody.
//
// expect: vanished-waker lock=cache_filled waker=worker lockkind=pthread_cond
//         waiting=run_child/pthread_cond_wait fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <stdbool.h>
#include <sys/epoll.h>

static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cache_filled = PTHREAD_COND_INITIALIZER;
static bool filled;

static void *fill_cache(void *unused) {
    thread_name("worker");
    hold_over_fork();
    pthread_mutex_lock(&cache_mutex);
    filled = true;
    pthread_cond_signal(&cache_filled);
    pthread_mutex_unlock(&cache_mutex);
    return unused;
}

static void *pause_for_ever(void *unused) {
    for (;;)
        pause();
    return unused;
}

static void *await_events(void *unused) {
    struct epoll_event event;
    epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, -1);
    return unused;
}

static void run_child(void) {
    thread_start(pause_for_ever);
    pthread_mutex_lock(&cache_mutex);
    while (!filled)
        pthread_cond_wait(&cache_filled, &cache_mutex);
    pthread_mutex_unlock(&cache_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(await_events);
    thread_start(fill_cache);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

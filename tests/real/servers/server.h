// A server of the usual shape: a worker and idle threads, main forks, and the child uses the library too. Each program gives
// `worker`, which calls hold() where the library has a lock of its own, and `in_child`. With the argument `healthy` the worker has
// ended before the fork: nobody may be accused.
#ifndef REFORK_TESTS_REAL_SERVERS_SERVER_H
#define REFORK_TESTS_REAL_SERVERS_SERVER_H

#include "samples/stage.h"

#include <sys/epoll.h>

static void worker(void);
static void in_child(void);

// Once: in the child the library may come here again.
static inline void hold(void) {
    static int times;
    if (!times++) hold_over_fork();
}

static void *idle_events(void *unused) {
    struct epoll_event event;
    thread_name("events");
    epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, -1);
    return unused;
}

static void *idle_pause(void *unused) {
    thread_name("idle");
    for (;;)
        pause();
    return unused;
}

static void *run_worker(void *unused) {
    thread_name("worker");
    worker();
    return unused;
}

static inline int serve(int argc) {
    const int healthy = argc > 1;
    thread_start(idle_events);
    pthread_t thread = thread_start(run_worker);
    gate_wait(&held);
    if (healthy) {
        gate_open(&forked);
        pthread_join(thread, NULL);
    }
    pid_t child = fork();
    if (child == 0) {
        thread_start(idle_pause);
        in_child();
        say("child: done");
        _exit(0);
    }
    if (!healthy) gate_open(&forked);
    return reap(child);
}

#endif

// A child waits for a condition that a thread of its parent would have signalled. First argument: what a thread of the child does
// meanwhile. It goes on, or may be woken from outside, but its code never comes to where it would wake anybody; or ("none") it does
// so after a second: by itself, through a pointer, as a timer's thread, when the parent writes to it, or it ends the process.
//
// case nap: vanished-waker confidence=likely lock=cache_filled waker=filler
// case accept: vanished-waker confidence=likely lock=cache_filled waker=filler
// case epoll: vanished-waker confidence=likely lock=cache_filled waker=filler
// case sigwait: vanished-waker confidence=likely lock=cache_filled waker=filler
// case queue: vanished-waker confidence=likely lock=cache_filled waker=filler
// case signals: none
// case pointer: none
// case timer: none
// case peer: none
// case quits: none
#include "samples/stage.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER, queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cache_filled = PTHREAD_COND_INITIALIZER, queue_filled = PTHREAD_COND_INITIALIZER;
static bool filled;
static volatile bool queued;
static volatile unsigned long beats;
static struct gate late;

static void fill(void) {
    pthread_mutex_lock(&cache_lock);
    filled = true;
    pthread_cond_signal(&cache_filled);
    pthread_mutex_unlock(&cache_lock);
}

static void (*volatile by_pointer)(void) = fill;

static void *fill_in_parent(void *nothing) {
    thread_name("filler");
    hold_over_fork();
    fill();
    return nothing;
}

static void beat_for_a_second(void) {
    for (int i = 0; i < 50; i++) {
        usleep(20000);
        beats++;
    }
}

static void *nap(void *nothing) {
    for (;;)
        beat_for_a_second();
    return nothing;
}

static void *await_strangers(void *nothing) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || listen(listener, 1)) abort();
    for (int peer; (peer = accept(listener, NULL, NULL)) >= 0;)
        close(peer);
    return nothing;
}

static void *await_events(void *nothing) {
    struct epoll_event event;
    int set = epoll_create1(EPOLL_CLOEXEC);
    for (;;)
        if (epoll_wait(set, &event, 1, 30) > 0) beats++;
    return nothing;
}

static void *await_signals(void *nothing) {
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (sigwait(&set, &number) == 0)
        beats++;
    return nothing;
}

static void *await_work(void *nothing) {
    pthread_mutex_lock(&queue_lock);
    while (!queued)
        pthread_cond_wait(&queue_filled, &queue_lock);
    pthread_mutex_unlock(&queue_lock);
    return nothing;
}

static void *signal_late(void *nothing) {
    beat_for_a_second();
    fill();
    return nothing;
}

static void *call_late(void *nothing) {
    beat_for_a_second();
    by_pointer();
    return nothing;
}

static void *obey(void *nothing) {
    gate_wait(&late);
    fill();
    return nothing;
}

static void *quit(void *nothing) {
    beat_for_a_second();
    _exit(0);
    return nothing;
}

static void ring(union sigval nothing) {
    (void)nothing;
    fill();
}

static void set_timer(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = ring};
    const struct itimerspec second = {.it_value = {1, 0}};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &second, NULL)) abort();
}

static const struct job {
    const char *name;
    void *(*routine)(void *);
} jobs[] = {
    {"nap", nap},          {"accept", await_strangers}, {"epoll", await_events}, {"sigwait", await_signals},
    {"queue", await_work}, {"signals", signal_late},    {"pointer", call_late},  {"peer", obey},
    {"quits", quit}};

static void run_child(const char *job) {
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (!strcmp(job, jobs[i].name)) thread_start(jobs[i].routine);
    if (!strcmp(job, "queue")) thread_start(nap);
    if (!strcmp(job, "timer")) set_timer();
    pthread_mutex_lock(&cache_lock);
    while (!filled)
        pthread_cond_wait(&cache_filled, &cache_lock);
    pthread_mutex_unlock(&cache_lock);
    _exit(0);
}

static void *write_late(void *nothing) {
    beat_for_a_second();
    gate_open(&late);
    return nothing;
}

int main(int argc, char **argv) {
    const char *job = argc > 1 ? argv[1] : "nap";
    if (pipe(late.fd)) abort();
    thread_start(fill_in_parent);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) run_child(job);
    if (!strcmp(job, "peer")) thread_start(write_late);
    gate_open(&forked);
    return reap(child);
}

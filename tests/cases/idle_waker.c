// A child waits for a condition that a thread of its parent would have signalled. First argument: what a thread of the child does
// meanwhile. It goes on, or may be woken from outside, but its code never comes to where it would wake anybody; or ("none") it does
// so after a second: by itself, through a pointer, as a timer's thread, when the parent writes to it, or it ends the process.
// A second argument: the waiter is a thread of the child, which its main thread joins ("joined"), or beside which the main thread does
// the job ("beside"); or how the parent asks for the child's end: "polls", "any", "pidfd", "signalfd".
//
// case nap: vanished-waker confidence=likely lock=cache_filled waker=filler
// case accept: vanished-waker confidence=likely lock=cache_filled waker=filler
// case epoll: vanished-waker confidence=likely lock=cache_filled waker=filler
// case sigwait: vanished-waker confidence=likely lock=cache_filled waker=filler
// case queue: vanished-waker confidence=likely lock=cache_filled waker=filler
// case nap joined: vanished-waker confidence=likely lock=cache_filled waker=filler
// case epoll beside: vanished-waker confidence=likely lock=cache_filled waker=filler
// case nap polls: vanished-waker confidence=likely lock=cache_filled waker=filler
// case epoll any: vanished-waker confidence=likely lock=cache_filled waker=filler
// case nap pidfd: vanished-waker confidence=likely lock=cache_filled waker=filler
// case sigwait signalfd: vanished-waker confidence=likely lock=cache_filled waker=filler
// case signals joined: none
// case signals beside: none
// case returns beside: none
// case signals polls: none
// case signals: none
// case pointer: none
// case timer: none
// case peer: none
// case quits: none
#include "samples/stage.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
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

static void *nap_shortly(void *nothing) {
    beat_for_a_second();
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
    {"quits", quit},       {"returns", nap_shortly}};

static void *await_cache(void *nothing) {
    pthread_mutex_lock(&cache_lock);
    while (!filled)
        pthread_cond_wait(&cache_filled, &cache_lock);
    pthread_mutex_unlock(&cache_lock);
    return nothing;
}

static void *await_and_end(void *nothing) {
    await_cache(nothing);
    _exit(0);
}

static void run_child(const char *job, const char *how) {
    bool joined = !strcmp(how, "joined"), beside = !strcmp(how, "beside");
    pthread_t waiter = joined ? thread_start(await_cache) : beside ? thread_start(await_and_end) : 0;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        if (strcmp(job, jobs[i].name)) continue;
        if (!beside)
            thread_start(jobs[i].routine);
        else
            jobs[i].routine(NULL);
    }
    if (beside) return;
    if (!strcmp(job, "queue")) thread_start(nap);
    if (!strcmp(job, "timer")) set_timer();
    if (joined)
        pthread_join(waiter, NULL);
    else
        await_cache(NULL);
    _exit(0);
}

static void *write_late(void *nothing) {
    beat_for_a_second();
    gate_open(&late);
    return nothing;
}

// The ways of supervisors. Each comes back to reap() when the child has ended.
static void look_after(pid_t child, const char *how) {
    struct pollfd end = {.events = POLLIN};
    if (!strcmp(how, "pidfd")) {
        end.fd = pidfd_open(child, 0);
    } else if (!strcmp(how, "signalfd")) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL);
        end.fd = signalfd(-1, &set, SFD_CLOEXEC);
    } else if (!strcmp(how, "polls") || !strcmp(how, "any")) {
        siginfo_t info = {0};
        int flags = WEXITED | WNOWAIT | (!strcmp(how, "polls") ? WNOHANG : 0);
        while (waitid(P_ALL, 0, &info, flags) == 0 && !info.si_pid)
            usleep(20000);
        return;
    } else {
        return;
    }
    if (poll(&end, 1, -1) != 1) abort();
}

int main(int argc, char **argv) {
    const char *job = argc > 1 ? argv[1] : "nap", *how = argc > 2 ? argv[2] : "";
    if (pipe(late.fd)) abort();
    thread_start(fill_in_parent);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        run_child(job, how);
        return 0;
    }
    if (!strcmp(job, "peer")) thread_start(write_late);
    gate_open(&forked);
    look_after(child, how);
    return reap(child);
}

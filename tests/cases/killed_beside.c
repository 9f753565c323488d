// A supervisor ends its child, whose main thread waits for what a thread of the parent has: beside a thread of the child that goes on.
// First argument: what it waits for; second: what the other thread does; third: the signal. It was hung, unless ("none") that other
// thread comes to where it would end the wait, or nobody ever had to do with what is waited for.
//
// case mutex nap kill: orphaned-lock confidence=proved lock=log_lock holder=worker killed=SIGKILL killedby=supervisor
// case mutex events term: orphaned-lock confidence=proved lock=log_lock holder=worker killed=SIGTERM killedby=supervisor
// case condition nap term: vanished-waker confidence=likely lock=log_rolled waker=worker killed=SIGTERM killedby=supervisor
// case posts events kill: vanished-waker confidence=likely lock=posts waker=worker killed=SIGKILL killedby=supervisor
// case mutex release kill: none
// case condition signal term: none
// case posts signal kill: none
// case own nap kill: none
#include "samples/stage.h"

#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER, roll_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_rolled = PTHREAD_COND_INITIALIZER, stopped = PTHREAD_COND_INITIALIZER;
static sem_t posts;
static bool rolled;

static void roll(void) {
    pthread_mutex_lock(&roll_lock);
    rolled = true;
    pthread_cond_broadcast(&log_rolled);
    pthread_mutex_unlock(&roll_lock);
    sem_post(&posts);
}

static void *work_in_parent(void *nothing) {
    thread_name("worker");
    pthread_mutex_lock(&log_lock);
    hold_over_fork();
    pthread_mutex_unlock(&log_lock);
    roll();
    return nothing;
}

static void nap_for_a_minute(void) {
    for (int i = 0; i < 3000; i++)
        usleep(20000);
}

static void *nap(void *nothing) {
    for (;;)
        nap_for_a_minute();
    return nothing;
}

static void *await_events(void *nothing) {
    struct epoll_event event;
    int set = epoll_create1(EPOLL_CLOEXEC);
    while (epoll_wait(set, &event, 1, 30) >= 0)
        ;
    return nothing;
}

static void *release(void *nothing) {
    nap_for_a_minute();
    pthread_mutex_unlock(&log_lock);
    return nothing;
}

static void *signal_it(void *nothing) {
    nap_for_a_minute();
    roll();
    return nothing;
}

static void run_child(const char *thing, const char *job) {
    pthread_cond_t *condition = strcmp(thing, "own") ? &log_rolled : &stopped;
    thread_start(!strcmp(job, "nap")       ? nap
                 : !strcmp(job, "events")  ? await_events
                 : !strcmp(job, "release") ? release
                                           : signal_it);
    if (!strcmp(thing, "mutex")) {
        pthread_mutex_lock(&log_lock);
    } else if (!strcmp(thing, "posts")) {
        while (sem_wait(&posts))
            ;
    } else {
        pthread_mutex_lock(&roll_lock);
        while (!rolled)
            pthread_cond_wait(condition, &roll_lock);
    }
    _exit(0);
}

int main(int argc, char **argv) {
    int number = argc > 3 && !strcmp(argv[3], "term") ? SIGTERM : SIGKILL;
    if (argc < 3 || sem_init(&posts, 0, 0)) abort();
    thread_name("supervisor");
    pthread_t worker = thread_start(work_in_parent);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) run_child(argv[1], argv[2]);
    gate_open(&forked);
    pthread_join(worker, NULL);
    until_asleep(child);
    usleep(20000); // its time limit
    kill(child, number);
    return reap(child) == 128 + number ? 0 : 1;
}

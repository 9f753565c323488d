// A child waits for what a thread of its parent would have set, posted or counted down. First argument: what that is; second: what
// a thread of the child does meanwhile. It goes on, or may be woken from outside, but its code never comes to where it would wake
// anybody; or ("none") it ends the wait itself after a second.
//
// case future nap: vanished-waker confidence=likely lockkind=std::future waker=setter
// case future thread: vanished-waker confidence=likely lockkind=std::future waker=setter
// case atomic epoll: vanished-waker confidence=likely lockkind=std::atomic waker=setter
// case latch accept: vanished-waker confidence=likely lockkind=std::latch waker=setter
// case barrier sigwait: vanished-waker confidence=likely lockkind=std::barrier waker=setter
// case semaphore nap: vanished-waker confidence=likely lockkind=std::semaphore waker=setter
// case posix thread: vanished-waker confidence=likely lockkind=sem waker=setter
// case future late: none
// case atomic late: none
// case latch pointer: none
// case barrier late: none
// case semaphore pointer: none
// case posix late: none
#include "samples/stage.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <future>
#include <latch>
#include <netinet/in.h>
#include <semaphore.h>
#include <semaphore>
#include <sys/epoll.h>
#include <thread>

static std::promise<int> answer;
static std::atomic<int> state;
static std::latch started(1);
static std::barrier<> meeting(2);
static std::counting_semaphore<4> permits(0);
static sem_t posts;
static std::atomic<unsigned long> beats;

static const struct thing {
    const char *name;
    void (*await)();
    void (*set)();
} things[] = {
    {"future", [] { answer.get_future().get(); }, [] { answer.set_value(1); }},
    {"atomic", [] { state.wait(0); },
     [] {
         state = 1;
         state.notify_all();
     }},
    {"latch", [] { started.wait(); }, [] { started.count_down(); }},
    {"barrier", [] { meeting.arrive_and_wait(); }, [] { (void)meeting.arrive(); }},
    {"semaphore", [] { permits.acquire(); }, [] { permits.release(); }},
    {"posix",
     [] {
         while (sem_wait(&posts))
             ;
     },
     [] { sem_post(&posts); }},
};
static const thing *chosen = things;

static void *set_in_parent(void *nothing) {
    thread_name("setter");
    hold_over_fork();
    chosen->set();
    return nothing;
}

static void *nap(void *nothing) {
    for (;;) {
        usleep(20000);
        beats = beats + 1;
    }
    return nothing;
}

static void nap_by_clock() {
    for (;;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        beats = beats + 1;
    }
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
        if (epoll_wait(set, &event, 1, 30) > 0) beats = beats + 1;
    return nothing;
}

static void *await_signals(void *nothing) {
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (sigwait(&set, &number) == 0)
        beats = beats + 1;
    return nothing;
}

static void nap_for_a_second() {
    for (int i = 0; i < 50; i++)
        usleep(20000);
}

// The same code that the vanished thread would have come to, by its name: no pointer hides it.
static void *set_late(void *nothing) {
    nap_for_a_second();
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        if (&things[i] != chosen) continue;
        if (i == 0) answer.set_value(1);
        if (i == 1) {
            state = 1;
            state.notify_all();
        }
        if (i == 3) (void)meeting.arrive();
        if (i == 5) sem_post(&posts);
    }
    return nothing;
}

static void *set_by_pointer(void *nothing) {
    nap_for_a_second();
    chosen->set();
    return nothing;
}

static void run_child(const char *job) {
    if (!strcmp(job, "nap")) thread_start(nap);
    if (!strcmp(job, "thread")) std::thread(nap_by_clock).detach();
    if (!strcmp(job, "accept")) thread_start(await_strangers);
    if (!strcmp(job, "epoll")) thread_start(await_events);
    if (!strcmp(job, "sigwait")) thread_start(await_signals);
    if (!strcmp(job, "late")) thread_start(set_late);
    if (!strcmp(job, "pointer")) thread_start(set_by_pointer);
    chosen->await();
    _exit(0);
}

int main(int argc, char **argv) {
    if (sem_init(&posts, 0, 0)) abort();
    for (const thing &t : things)
        if (argc > 1 && !strcmp(argv[1], t.name)) chosen = &t;
    thread_start(set_in_parent);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) run_child(argc > 2 ? argv[2] : "nap");
    if (!strcmp(chosen->name, "barrier")) (void)meeting.arrive();
    gate_open(&forked);
    return reap(child);
}

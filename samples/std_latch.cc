// A latch that a vanished thread would have counted down: nobody holds anything, but who would wake the
// child is gone.
//
// expect: vanished-waker lock=cache_ready lockkind=std::latch waker=worker waiting=run_child/std::latch::wait
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <latch>

static std::latch cache_ready(1);

static void *fill_cache(void *) {
    thread_name("worker");
    hold_over_fork();
    cache_ready.count_down();
    return nullptr;
}

static void run_child() {
    cache_ready.wait();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    thread_start(fill_cache);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

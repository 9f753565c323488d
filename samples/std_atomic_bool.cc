// std::atomic<bool>::wait sleeps on a word of libstdc++'s, which many objects share: the verdict names the object.
//
// expect: vanished-waker lock=cache_ready lockkind=std::atomic waker=worker waiting=run_child/std::atomic<bool>::wait
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <atomic>

static std::atomic<bool> log_ready, cache_ready; // in one word
static std::atomic<long> entries;

static void *fill_cache(void *) {
    thread_name("worker");
    hold_over_fork();
    entries = 1;
    log_ready = cache_ready = true;
    cache_ready.notify_all();
    return nullptr;
}

static void run_child() {
    cache_ready.wait(false);
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

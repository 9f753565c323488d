// A std::barrier, on the heap, that a vanished thread would have come to. It waits on a word of libstdc++'s that many
// objects share: the verdict names the barrier, by its allocation.
//
// expect: vanished-waker lock=heap_lock_* lockkind=std::barrier allocated=operator_new:main waker=worker waiting=run_child
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <barrier>

static std::barrier<> *filled;

static void *fill_cache(void *) {
    thread_name("worker");
    hold_over_fork();
    filled->arrive_and_wait();
    return nullptr;
}

static void run_child() {
    gate_wait(&settled);
    filled->arrive_and_wait();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    filled = new std::barrier<>(2);
    pthread_t worker = thread_start(fill_cache);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    filled->arrive_and_wait();
    pthread_join(worker, nullptr);
    gate_open(&settled);
    return reap(child);
}

// A future whose promise a vanished thread would have kept.
//
// expect: vanished-waker lockkind=std::future waker=worker waiting=run_child
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <future>

static std::promise<int> answer;

static void *compute(void *) {
    thread_name("worker");
    hold_over_fork();
    answer.set_value(42);
    return nullptr;
}

static void run_child() {
    answer.get_future().wait();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    thread_start(compute);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// try_lock_for puts the end off and does not bring it: the child tries for 5 ms at a time, again and again.
//
// expect: orphaned-lock confidence=likely lock=log_mutex lockkind=pthread_mutex holder=worker
//         start=write_report acquired=write_report/std::timed_mutex::lock waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <chrono>
#include <mutex>

static std::timed_mutex log_mutex;

static void *write_report(void *) {
    thread_name("worker");
    log_mutex.lock();
    hold_over_fork();
    log_mutex.unlock();
    return nullptr;
}

static void run_child() {
    while (!log_mutex.try_lock_for(std::chrono::milliseconds(5)))
        continue;
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

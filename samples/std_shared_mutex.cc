// A std::shared_mutex that a vanished thread reads under; the child wants to write.
//
// expect: orphaned-lock confidence=proved lock=table_mutex lockkind=pthread_rwlock holder=worker
//         start=look_up acquired=look_up/std::shared_mutex::lock_shared
//         waiting=run_child/std::shared_mutex::lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <shared_mutex>

static std::shared_mutex table_mutex;

static void *look_up(void *) {
    thread_name("worker");
    table_mutex.lock_shared();
    hold_over_fork();
    table_mutex.unlock_shared();
    return nullptr;
}

static void run_child() {
    table_mutex.lock();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    thread_start(look_up);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

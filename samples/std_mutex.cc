// std::mutex is a pthread mutex, std::thread a pthread: C++ changes nothing about fork().
//
// expect: orphaned-lock confidence=proved lock=log_mutex lockkind=pthread_mutex holder=worker
//         start=write_report acquired=write_report/std::mutex::lock waiting=run_child/std::mutex::lock
//         fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <mutex>
#include <thread>

static std::mutex log_mutex;

static void write_report() {
    thread_name("worker");
    log_mutex.lock();
    hold_over_fork();
    log_mutex.unlock();
}

static void run_child() {
    log_mutex.lock();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    std::thread(write_report).detach();
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

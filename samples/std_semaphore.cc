// A std::binary_semaphore used as a lock: no pthread function anywhere, only an atomic and a futex.
//
// expect: orphaned-lock confidence=likely lock=log_permit lockkind=std::semaphore holder=worker
//         start=write_report acquired=write_report waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <semaphore>

static std::binary_semaphore log_permit(1);

static void *write_report(void *) {
    thread_name("worker");
    log_permit.acquire();
    hold_over_fork();
    log_permit.release();
    return nullptr;
}

static void run_child() {
    log_permit.acquire();
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

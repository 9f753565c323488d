// A fiber takes a mutex and gives its thread to another one. At the fork the thread stands in the second
// fiber; the mutex was taken on the first one's stack, which is asleep. The thread vanishes, and both
// fibers with it.
//
// expect: orphaned-lock confidence=proved lock=log_mutex lockkind=pthread_mutex holder=worker
//         start=run_fibers acquired=log_fiber/pthread_mutex_lock waiting=run_child/pthread_mutex_lock
//         fork=main/fork gone=worker
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <ucontext.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static ucontext_t scheduler, fiber;
static char stack[65536];

static void log_fiber(void) {
    pthread_mutex_lock(&log_mutex);
    swapcontext(&fiber, &scheduler); // waits for something, another fiber's turn
    pthread_mutex_unlock(&log_mutex);
}

static void *run_fibers(void *unused) {
    (void)unused;
    thread_name("worker");
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack;
    fiber.uc_stack.ss_size = sizeof stack;
    fiber.uc_link = &scheduler;
    makecontext(&fiber, log_fiber, 0);
    swapcontext(&scheduler, &fiber);
    hold_over_fork();
    swapcontext(&scheduler, &fiber);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&log_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(run_fibers);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

// fiber, repaired: a fiber gives its locks back before it gives way.
#include "samples/stage.h"

#include <ucontext.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static ucontext_t scheduler, fiber;
static char stack[65536];

static void log_fiber(void) {
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_unlock(&log_mutex);
    swapcontext(&fiber, &scheduler); // waits for something, another fiber's turn
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
    usleep(20000);
    swapcontext(&scheduler, &fiber);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&log_mutex);
    say("child: done");
    _exit(0);
}

int main(void) {
    thread_start(run_fibers);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}

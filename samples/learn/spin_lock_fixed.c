// spin_ttas, repaired: fork handlers take the lock before each fork, so that nobody else has it then.
#include "samples/stage.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool counter_lock;
static int counter;

static void counter_acquire(void) {
    while (atomic_exchange(&counter_lock, true))
        while (atomic_load(&counter_lock))
            __builtin_ia32_pause();
}

static void counter_release(void) {
    atomic_store(&counter_lock, false);
}

static void *count(void *unused) {
    (void)unused;
    thread_name("worker");
    counter_acquire();
    counter++;
    usleep(20000); // main wants to fork now
    counter_release();
    return NULL;
}

static void run_child(void) {
    counter_acquire();
    counter++;
    counter_release();
    say("child: done");
    _exit(0);
}

int main(void) {
    pthread_atfork(counter_acquire, counter_release, counter_release);
    thread_start(count);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}

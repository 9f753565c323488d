// A home-made spin lock: test, then test and set. The child only reads the word, in a loop without any
// call.
//
// expect: orphaned-spin lockkind=spin_word lock=counter_lock holder=worker start=count
//         acquired=counter_acquire waiting=counter_acquire fork=main/fork
// expect: cross-process-wait cause=orphaned-spin
// held: counter_lock
// status: 120
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
    hold_over_fork();
    counter_release();
    return NULL;
}

static void run_child(void) {
    counter_acquire();
    counter++;
    counter_release();
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(count);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

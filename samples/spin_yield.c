// A spin lock that gives its CPU away at every turn, as Boost's and tbbmalloc's do.
//
// expect: orphaned-spin lockkind=spin_word lock=counter_lock holder=worker start=count
//         acquired=counter_acquire waiting=counter_acquire fork=main/fork
// expect: cross-process-wait cause=orphaned-spin
// status: 120
#include "samples/stage.h"

#include <sched.h>
#include <stdatomic.h>

static atomic_flag counter_lock = ATOMIC_FLAG_INIT;
static int counter;

static void counter_acquire(void) {
    while (atomic_flag_test_and_set(&counter_lock))
        sched_yield();
}

static void counter_release(void) {
    atomic_flag_clear(&counter_lock);
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

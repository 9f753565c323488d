// A ticket lock: the child draws the next number and watches the one that is being served. A vanished
// thread would have to advance it.
//
// expect: orphaned-spin lockkind=spin_word lock=counter_lock.served waiting=counter_acquire fork=main/fork
// expect: cross-process-wait cause=orphaned-spin
// status: 120
#include "samples/stage.h"

#include <stdatomic.h>

static struct { atomic_uint next, served; } counter_lock;
static int counter;

static void counter_acquire(void) {
    unsigned mine = atomic_fetch_add(&counter_lock.next, 1);
    while (atomic_load(&counter_lock.served) != mine)
        __builtin_ia32_pause();
}

static void counter_release(void) {
    atomic_fetch_add(&counter_lock.served, 1);
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

// A lock made of one word and the futex call, as many runtimes have: 0 free, 1 held, 2 held and somebody
// sleeps.
//
// expect: orphaned-lock confidence=proved lock=counter_lock lockkind=futex holder=worker start=count
//         acquired=counter_acquire waiting=counter_acquire/syscall fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static atomic_int counter_lock;
static int counter;

static void counter_acquire(void) {
    int free = 0;
    if (atomic_compare_exchange_strong(&counter_lock, &free, 1)) return;
    while (atomic_exchange(&counter_lock, 2))
        syscall(SYS_futex, &counter_lock, FUTEX_WAIT_PRIVATE, 2, NULL);
}

static void counter_release(void) {
    if (atomic_exchange(&counter_lock, 0) == 2) syscall(SYS_futex, &counter_lock, FUTEX_WAKE_PRIVATE, 1);
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

// A spin lock makes no syscall: the child does not sleep, it burns its CPU on a word that a vanished thread
// set.
//
// expect: orphaned-spin lock=counter_lock lockkind=pthread_spinlock holder=worker start=count
//         acquired=count/pthread_spin_lock waiting=run_child/pthread_spin_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-spin
// status: 120
#include "samples/stage.h"

static pthread_spinlock_t counter_lock; // glibc: zero would mean held
static int counter;

__attribute__((constructor)) static void counter_init(void) {
    pthread_spin_init(&counter_lock, PTHREAD_PROCESS_PRIVATE);
}

static void *count(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_spin_lock(&counter_lock);
    counter++;
    hold_over_fork();
    pthread_spin_unlock(&counter_lock);
    return NULL;
}

static void run_child(void) {
    pthread_spin_lock(&counter_lock);
    counter++;
    pthread_spin_unlock(&counter_lock);
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

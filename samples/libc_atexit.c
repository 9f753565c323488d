// atexit keeps its list under a lock of glibc, and exit() takes it. A child that ends with exit() instead
// of _exit() can hang on it.
//
// expect: orphaned-lock confidence=proved lock=__exit_funcs_lock lockkind=libc_lock holder=worker
//         start=register_plugins acquired=register_plugins waiting=run_child/exit fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <stdbool.h>

extern void *__libc_calloc(size_t, size_t);
static _Thread_local bool slow;

// atexit allocates with its lock held, and this thread's allocator takes its time.
void *calloc(size_t n, size_t size) {
    if (slow) {
        slow = false;
        hold_over_fork();
    }
    return __libc_calloc(n, size);
}

static void unload(void) {}

static void *register_plugins(void *unused) {
    (void)unused;
    thread_name("worker");
    slow = true;
    for (int i = 0; i < 40; i++) // the list grows by blocks of 32
        atexit(unload);
    return NULL;
}

static void run_child(void) {
    exit(0); // never ends
}

int main(void) {
    thread_start(register_plugins);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

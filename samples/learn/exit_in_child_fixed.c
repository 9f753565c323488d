// libc_atexit, repaired: a child that does not exec ends with _exit, which runs no functions of atexit.
#include "samples/stage.h"

#include <stdbool.h>

extern void *__libc_calloc(size_t, size_t);
static _Thread_local bool slow;

// atexit allocates with its lock held, and this thread's allocator takes its time.
void *calloc(size_t n, size_t size) {
    if (slow) {
        slow = false;
        usleep(20000);
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
    _exit(0);
}

int main(void) {
    thread_start(register_plugins);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}

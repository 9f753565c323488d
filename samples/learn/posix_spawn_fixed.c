// libc_setenv, repaired: posix_spawn starts the new program with an environment that the parent made.
#include "samples/stage.h"

#include <spawn.h>
#include <stdbool.h>

extern void *__libc_realloc(void *, size_t);
static _Thread_local bool slow;

// setenv allocates with its lock held, and this thread's allocator takes its time.
void *realloc(void *p, size_t size) {
    if (slow) {
        slow = false;
        hold_over_fork();
    }
    return __libc_realloc(p, size);
}

static void *set_locale(void *unused) {
    (void)unused;
    thread_name("worker");
    slow = true;
    setenv("LC_ALL", "C", 1);
    return NULL;
}

int main(void) {
    thread_start(set_locale);
    gate_wait(&held);
    say("main: spawn");
    pid_t child;
    char *const arguments[] = {"sh", "-c", "echo child: request $REQUEST", NULL};
    char *const environment[] = {"REQUEST=42", NULL};
    if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environment)) return 1;
    gate_open(&forked);
    return reap(child);
}

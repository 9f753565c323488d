// setenv has a lock inside glibc, envlock. That no two threads call it is a rule, that no child does after
// a fork of a threaded program is one too, and many programs break it: fork, setenv, exec.
//
// expect: orphaned-lock confidence=proved lock=envlock lockkind=libc_lock holder=worker start=set_locale
//         acquired=set_locale/add_to_environ waiting=run_child/add_to_environ fork=main/fork gone=worker
// expect: cross-process-wait cause=orphaned-lock
// held: envlock
// status: 120
#include "samples/stage.h"

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

static void run_child(void) {
    setenv("REQUEST", "42", 1);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(set_locale);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

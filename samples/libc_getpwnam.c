// getpwnam has a lock of its own around its static buffer. The child of a server looks up the user to
// become.
//
// expect: orphaned-lock confidence=proved lock=lock lockkind=libc_lock holder=worker start=look_up
//         acquired=look_up/getpwnam waiting=run_child/getpwnam fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <pwd.h>
#include <stdbool.h>

extern void *__libc_malloc(size_t);
static _Thread_local bool slow;

// getpwnam allocates with its lock held, and this thread's allocator takes its time.
void *malloc(size_t size) {
    if (slow) {
        slow = false;
        hold_over_fork();
    }
    return __libc_malloc(size);
}

static void *look_up(void *unused) {
    (void)unused;
    thread_name("worker");
    slow = true;
    getpwnam("root");
    return NULL;
}

static void run_child(void) {
    getpwnam("nobody");
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(look_up);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

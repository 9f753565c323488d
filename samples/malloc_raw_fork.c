// fork() takes and releases malloc's locks, _Fork() does not. malloc_stats prints with an arena's lock
// held, to a stream that takes its time.
//
// expect: orphaned-lock confidence=proved lock=main_arena lockkind=libc_lock holder=worker
//         start=print_stats acquired=print_stats/malloc_stats waiting=run_child/malloc fork=main/Fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <malloc.h>
#include <stdio.h>

static ssize_t print_slowly(void *unused, const char *text, size_t size) {
    (void)unused, (void)text;
    static int lines;
    if (lines++ == 0) hold_over_fork();
    return (ssize_t)size;
}

static void *print_stats(void *unused) {
    (void)unused;
    thread_name("worker");
    malloc_stats();
    return NULL;
}

static void run_child(void) {
    if (!malloc(100000)) abort();
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    stderr = fopencookie(NULL, "w", (cookie_io_functions_t){.write = print_slowly});
    setvbuf(stderr, NULL, _IONBF, 0);
    thread_start(print_stats);
    gate_wait(&held);
    say("main: fork");
    pid_t child = _Fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}

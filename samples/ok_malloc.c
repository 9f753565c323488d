// glibc's fork() takes care of malloc: it waits for the threads that are inside, and the child gets free
// locks. Here one is inside for 50 ms, since malloc_stats prints with an arena's lock held. refork must
// stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <malloc.h>
#include <stdio.h>

static ssize_t print_slowly(void *unused, const char *text, size_t size) {
    (void)unused, (void)text;
    static int lines;
    if (lines++ == 0) {
        gate_open(&held);
        usleep(50000);
    }
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
    say("child: done");
    _exit(0);
}

int main(void) {
    stderr = fopencookie(NULL, "w", (cookie_io_functions_t){.write = print_slowly});
    setvbuf(stderr, NULL, _IONBF, 0);
    thread_start(print_stats);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}

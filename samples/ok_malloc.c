// glibc's fork() takes care of malloc: two threads allocate without a pause, main forks all the while, and each child
// allocates. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool stop;

static void *allocate(void *unused) {
    (void)unused;
    while (!stop)
        for (size_t size = 16; size < 100000; size *= 3)
            free(malloc(size));
    gate_open(&held);
    return NULL;
}

int main(void) {
    thread_start(allocate);
    thread_start(allocate);
    for (int i = 0; i < 20; i++) {
        free(malloc(5000));
        pid_t child = fork();
        if (child == 0) {
            for (size_t size = 16; size < 100000; size *= 3)
                free(malloc(size));
            _exit(0);
        }
        if (reap(child)) return 1;
    }
    stop = true;
    gate_wait(&held);
    gate_wait(&held);
    say("main: done");
    return 0;
}

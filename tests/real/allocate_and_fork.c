// Healthy with every allocator that has fork handlers: threads allocate in bursts, main forks, the children
// allocate.
#include "samples/stage.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool stop;

static void burst(void) {
    void *blocks[40];
    for (int i = 0; i < 40; i++)
        blocks[i] = malloc((size_t)16 << (i % 13));
    for (int i = 0; i < 40; i++)
        free(blocks[i]);
}

static void *allocate(void *unused) {
    (void)unused;
    while (!stop) {
        burst();
        usleep(200);
    }
    gate_open(&held);
    return NULL;
}

int main(void) {
    thread_start(allocate);
    thread_start(allocate);
    for (int i = 0; i < 20; i++) {
        burst();
        pid_t child = fork();
        if (child == 0) {
            burst();
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

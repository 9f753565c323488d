// A thread of the child polls a flag that another thread of the same child will set: a spin, and not a lost
// one. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool ready;

static void *prepare(void *unused) {
    (void)unused;
    usleep(100000);
    ready = true;
    return NULL;
}

int main(void) {
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        thread_start(prepare);
        while (!ready)
            __builtin_ia32_pause();
        say("child: ready");
        _exit(0);
    }
    return reap(child);
}

// The child joins a thread that exists in the parent only. glibc knows that it has gone and returns at
// once; what the thread would have done is not done. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

static void *compute(void *unused) {
    (void)unused;
    hold_over_fork();
    return NULL;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, compute, NULL)) return 1;
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        pthread_join(thread, NULL);
        say("child: joined");
        _exit(0);
    }
    gate_open(&forked);
    pthread_join(thread, NULL);
    return reap(child);
}

// The child sleeps until its parent sends it a signal. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <signal.h>

static void go(int unused) {
    (void)unused;
}

int main(void) {
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    signal(SIGUSR1, go);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        sigsuspend(&before);
        say("child: go");
        _exit(0);
    }
    usleep(100000);
    kill(child, SIGUSR1);
    return reap(child);
}

// The child looks every few milliseconds whether its parent has written something: it sleeps with a
// timeout, it does nothing for long, and it is not stuck. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <poll.h>

static void run_child(int fd) {
    int turns = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 5) == 0)
        turns++;
    say(turns > 3 ? "child: it came late" : "child: it came soon");
    _exit(0);
}

int main(void) {
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child(forked.fd[0]);
    usleep(200000);
    gate_open(&forked);
    return reap(child);
}

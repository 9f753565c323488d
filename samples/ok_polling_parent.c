// The parent asks with WNOHANG whether its child has ended, and sleeps in between; the child takes its
// time. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

int main(void) {
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        usleep(200000);
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        usleep(2000);
    say("main: done");
    return WEXITSTATUS(status);
}

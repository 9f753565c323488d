// The child does what daemons do: it waits for signals. Main ends it after a while. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <signal.h>

int main(void) {
    pid_t child = fork();
    if (child == 0) {
        for (;;)
            pause();
    }
    usleep(400000);
    kill(child, SIGTERM);
    return reap(child) == 128 + SIGTERM ? 0 : 1;
}

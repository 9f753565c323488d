// The child waits for a condition that nobody will signal, on purpose: its parent ends it when it is no
// longer needed. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <signal.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

int main(void) {
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(&mutex);
        for (;;)
            pthread_cond_wait(&never, &mutex);
    }
    usleep(200000);
    kill(child, SIGTERM);
    say("main: ends its child");
    return reap(child) == 128 + SIGTERM ? 0 : 1;
}

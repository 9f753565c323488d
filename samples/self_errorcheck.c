// The child wants to give back what its thread held at the fork; an error-checking mutex refuses (EPERM:
// the owner is the parent's TID), nobody looks at the result, and the next lock waits for ever.
//
// expect: self-held confidence=proved lock=state_mutex lockkind=pthread_mutex holder=self_errorcheck
//         acquired=main/pthread_mutex_lock waiting=run_child/pthread_mutex_lock forker=true fork=main/fork
// expect: cross-process-wait cause=self-held
// status: 120
#include "samples/stage.h"

static pthread_mutex_t state_mutex;

static void run_child(void) {
    pthread_mutex_unlock(&state_mutex); // EPERM
    pthread_mutex_lock(&state_mutex);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&state_mutex, &attr);
    pthread_mutex_lock(&state_mutex);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    pthread_mutex_unlock(&state_mutex);
    return reap(child);
}

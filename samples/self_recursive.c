// The forking thread holds a recursive mutex, so its child "has" it, too, and may lock it again? No: the
// owner in the mutex is a TID, and the child's thread has another one. No other thread takes part in this
// at all.
//
// expect: self-held confidence=proved lock=state_mutex lockkind=pthread_mutex holder=self_recursive
//         acquired=main/pthread_mutex_lock waiting=run_child/pthread_mutex_lock forker=true fork=main/fork
// expect: cross-process-wait cause=self-held
// status: 120
#include "samples/stage.h"

static pthread_mutex_t state_mutex;

static void run_child(void) {
    pthread_mutex_lock(&state_mutex); // the second time, says the program
    say("child: done");               // never comes
    _exit(0);
}

int main(void) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&state_mutex, &attr);
    pthread_mutex_lock(&state_mutex);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    pthread_mutex_unlock(&state_mutex);
    return reap(child);
}

// Two processes meet at a process-shared barrier, round after round. One is killed between two rounds: the other one waits for it.
//
// expect: dead-holder confidence=likely lockkind=pthread_barrier waker=partner ended=SIGKILL endedby=dead_barrier
//     waiting=meet/pthread_barrier_wait
// expect: cross-process-wait cause=dead-holder waiting=main
// status: 120
#include "samples/shared.h"

#include <signal.h>

static pthread_barrier_t *round_end;

static void meet(void) {
    pthread_barrier_wait(round_end);
}

static pid_t partner(const char *name, bool leaves) {
    pid_t pid = fork();
    if (pid) return pid;
    thread_name(name);
    meet();
    if (leaves) {
        gate_open(&held);
        gate_wait(&forked); // it is killed here
    }
    meet();
    _exit(0);
}

int main(void) {
    pthread_barrierattr_t attr;
    round_end = shared_memory(sizeof *round_end);
    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(round_end, &attr, 2);
    pid_t first = partner("partner", true), second = partner("other", false);
    gate_wait(&held);
    kill(first, SIGKILL);
    reap(first);
    return reap(second);
}

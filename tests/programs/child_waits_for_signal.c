// A healthy supervisor: its child waits on a semaphore that nobody posts, until the parent ends it by a signal.
// As long as the parent moves nobody is stuck: the recording must reach the end.
#include "program.h"

#include <semaphore.h>

// Waits for ever; told through `ready` that the child is about to.
static pid_t waiter(void) {
    int ready[2];
    char c;
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child) {
        CHECK(close(ready[1]) == 0 && read(ready[0], &c, 1) == 1 && close(ready[0]) == 0);
        return child;
    }
    sem_t never;
    CHECK(sem_init(&never, 0, 0) == 0);
    CHECK(write(ready[1], "x", 1) == 1);
    while (sem_wait(&never) < 0 && errno == EINTR)
        ;
    _exit(98);
}

static void end(pid_t child, int sig) {
    int status;
    CHECK(kill(child, sig) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig);
    printf("child %d ended by %d at %lld\n", child, sig, now_ns());
}

int main(void) {
    pid_t slept = waiter();
    until_asleep(slept);
    end(slept, SIGTERM);

    // a parent that computes meanwhile
    pid_t busy = waiter();
    unsigned turns = 0;
    for (long long until = now_ns() + 50000000; now_ns() < until;)
        turns++;
    CHECK(turns > 0);
    end(busy, SIGKILL);

    // two at once, the first ended is not the first that waits
    pid_t one = waiter(), two = waiter();
    until_asleep(two);
    end(two, SIGTERM);
    until_asleep(one);
    end(one, SIGTERM);
    return 0;
}

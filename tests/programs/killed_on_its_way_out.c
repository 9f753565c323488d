// Children with a thread that computes are killed as a whole, again and again: their main thread has the signal already when the
// thread's end kills it once more. It then goes without a stop, and wait tells of it only after the thread.
#include "program.h"

#include <pthread.h>
#include <sys/wait.h>

enum { CHILDREN = 40 };

static int ready[2];

static void *computes(void *unused) {
    CHECK(write(ready[1], "x", 1) == 1);
    for (volatile int go_on = 1; go_on;)
        continue;
    return unused;
}

int main(void) {
    CHECK(pipe(ready) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        char byte;
        int status;
        pid_t child = fork();
        if (!child) {
            pthread_t t;
            CHECK(pthread_create(&t, NULL, computes, NULL) == 0);
            for (;;)
                if (i % 2) pause();
        }
        CHECK(read(ready[0], &byte, 1) == 1 && kill(child, SIGKILL) == 0);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    printf("%d killed\n", CHILDREN);
    return 0;
}

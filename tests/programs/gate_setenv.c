// glibc's own lock of the environment: a thread calls setenv every other millisecond, and so does the child.
#include "program.h"

static volatile int stop, rounds;

static void *work(void *unused) {
    (void)unused;
    while (!stop) {
        sleep_ms(2);
        setenv("WORKER", "1", 1);
        rounds++;
    }
    return NULL;
}

int main(void) {
    pthread_t worker;
    CHECK(!pthread_create(&worker, NULL, work, NULL));
    // The first time it makes its heap, with system calls in which it has the lock already: the fork is not to come there.
    while (rounds < 2)
        sleep_ms(3);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        setenv("CHILD", "1", 1);
        _exit(7);
    }
    CHECK(reap(child) == 7);
    stop = 1;
    pthread_join(worker, NULL);
    puts("done");
    return 0;
}

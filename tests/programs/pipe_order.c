// Threads that tell each other by pipes when to go on. The worker takes a mutex for a moment after main said so, main
// forks after that, and the child takes it: which comes first is open. "kept": main forks when the worker said that it
// has the mutex, and the worker gives it back when main said that the fork is over: there is one order only.
#include "program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int begin[2], held[2], forked[2];
static int kept;

static void say(const int *pipe) {
    CHECK(write(pipe[1], "", 1) == 1);
}

static void hear(const int *pipe) {
    char byte;
    CHECK(read(pipe[0], &byte, 1) == 1);
}

static void *work(void *unused) {
    hear(begin);
    pthread_mutex_lock(&lock);
    if (kept) {
        say(held);
        hear(forked);
    } else {
        say(begin); // calls between which another may run; no sleep, whose length no schedule repeats
        hear(begin);
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t worker;
    kept = argc > 1 && !strcmp(argv[1], "kept");
    CHECK(!pipe(begin) && !pipe(held) && !pipe(forked));
    CHECK(!pthread_create(&worker, NULL, work, NULL));
    say(begin);
    if (kept) hear(held);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        pthread_mutex_lock(&lock);
        _exit(7);
    }
    say(forked);
    CHECK(reap(child) == 7);
    pthread_join(worker, NULL);
    return 0;
}

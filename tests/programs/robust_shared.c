// Robust mutexes in memory shared between processes: their owner dies by exit and by a signal, with a waiter
// and without, one lock and several, plain and with priority inheritance.
#include "program.h"

#include <stdbool.h>
#include <sys/mman.h>

enum { LOCKS = 4 };

static pthread_mutex_t *locks;

static void setup(int protocol) {
    pthread_mutexattr_t attr;
    CHECK(pthread_mutexattr_init(&attr) == 0);
    CHECK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutexattr_setprotocol(&attr, protocol) == 0);
    for (int i = 0; i < LOCKS; i++)
        CHECK(pthread_mutex_init(&locks[i], &attr) == 0);
}

static void round_of(int protocol, bool by_signal, bool waiter) {
    int ready[2];
    char c;
    setup(protocol);
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        for (int i = 0; i < LOCKS; i++)
            CHECK(pthread_mutex_lock(&locks[i]) == 0);
        CHECK(write(ready[1], "x", 1) == 1);
        if (waiter) until_asleep(getppid()); // in the wait for the first
        if (by_signal) raise(SIGKILL);
        _exit(0);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    int status;
    if (!waiter) CHECK(waitpid(child, &status, 0) == child);
    for (int i = 0; i < LOCKS; i++) {
        CHECK(pthread_mutex_lock(&locks[i]) == EOWNERDEAD);
        CHECK(pthread_mutex_consistent(&locks[i]) == 0);
        CHECK(pthread_mutex_unlock(&locks[i]) == 0);
        CHECK(pthread_mutex_lock(&locks[i]) == 0 && pthread_mutex_unlock(&locks[i]) == 0);
    }
    if (waiter) CHECK(waitpid(child, &status, 0) == child);
    CHECK(by_signal ? WIFSIGNALED(status) : WIFEXITED(status));
    for (int i = 0; i < LOCKS; i++)
        CHECK(pthread_mutex_destroy(&locks[i]) == 0);
    CHECK(close(ready[0]) == 0 && close(ready[1]) == 0);
    printf("owner %d, protocol %d, %s, %s\n", child, protocol, by_signal ? "killed" : "exited",
           waiter ? "waited for" : "found");
}

int main(void) {
    locks = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(locks != MAP_FAILED);
    static const int protocols[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < 4; i++)
            round_of(protocols[p], i & 1, i & 2);
    return 0;
}

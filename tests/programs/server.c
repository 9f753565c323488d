// A server that goes on, with a child that waits on a semaphore. Conditions and semaphores are also what idle processes wait
// on until somebody ends them: nobody can tell before that happens.
//   server held     a thread holds the semaphore at the fork, and until the end
//   server rare     ... for some microseconds every 5 ms
//   server own      the child waits on a semaphore that it has made itself: it is idle
//   server kills    as held, but the server ends its child by a signal after a while, and itself with status 0
#include "program.h"

#include <semaphore.h>

static sem_t lock;
static int rare;

static void on_signal(int number) {
    (void)number;
    _exit(3);
}

static void *work(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    for (;;) {
        sem_wait(&lock);
        if (!rare) sleep_ms(1000000);
        sem_post(&lock);
        sleep_ms(5);
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    int kills = !strcmp(argv[1], "kills"), own = !strcmp(argv[1], "own");
    rare = !strcmp(argv[1], "rare");
    CHECK(!sem_init(&lock, 0, 1));
    CHECK(signal(SIGINT, on_signal) != SIG_ERR);
    pthread_t worker;
    CHECK(!pthread_create(&worker, NULL, work, NULL));
    sleep_ms(12);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        sem_t fresh;
        CHECK(!sem_init(&fresh, 0, 0));
        sem_wait(own ? &fresh : &lock);
        _exit(0);
    }
    if (kills) {
        sleep_ms(300);
        CHECK(!kill(child, SIGTERM));
        CHECK(waitpid(child, NULL, 0) == child);
        _exit(0);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;)
        sleep_ms(20);
}

// A server that goes on, with a child that waits on a semaphore. Conditions and semaphores are also what idle processes wait
// on until somebody ends them: nobody can tell before that happens.
//   server held     a thread holds the semaphore at the fork, and until the end
//   server rare     ... for some microseconds every 5 ms
//   server own      the child waits on a semaphore that it has made itself: it is idle
//   server timed    as held, but the child waits 5 ms at a time, and ignores SIGINT
//   server busy     no child: a thread is busy, main sleeps; the status says whether main has got SIGINT
//   server kills    as held, but the server ends its child by a signal after a while, and itself with status 0
#include "program.h"

#include <semaphore.h>

static sem_t lock;
static int rare;

static void on_signal(int number) {
    (void)number;
    _exit(gettid() == getpid() ? 3 : 4);
}

static void *compute(void *unused) {
    for (;;) // looks for signals each time that it is resumed
        syscall(SYS_getppid);
    return unused;
}

static void wait_in_turns(void) {
    CHECK(signal(SIGINT, SIG_IGN) != SIG_ERR);
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!sem_timedwait(&lock, &until)) _exit(0);
    }
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
    int busy = !strcmp(argv[1], "busy");
    CHECK(!pthread_create(&worker, NULL, busy ? compute : work, NULL));
    sleep_ms(12);
    if (busy) {
        CHECK(write(STDOUT_FILENO, "ready\n", 6) == 6);
        for (;;)
            pause();
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        sem_t fresh;
        if (!strcmp(argv[1], "timed")) wait_in_turns();
        CHECK(!sem_init(&fresh, 0, 0));
        sem_wait(own ? &fresh : &lock);
        _exit(0);
    }
    if (kills) {
        sleep_ms(100); // too short for the recorder to look at it
        CHECK(!kill(child, SIGTERM));
        CHECK(waitpid(child, NULL, 0) == child);
        _exit(0);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;)
        sleep_ms(20);
}

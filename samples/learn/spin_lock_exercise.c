// To be repaired: the child spins for ever when the worker counts while main forks.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_bool count_lock;
static int visitors;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

static void count_acquire(void) {
    while (atomic_exchange(&count_lock, true))
        while (atomic_load(&count_lock))
            __builtin_ia32_pause();
}

static void count_release(void) {
    atomic_store(&count_lock, false);
}

static void count_visitors(void) {
    count_acquire();
    for (int i = 0; i < 3; i++) {
        visitors++;
        sleep_ms(200); // visitors take their time
    }
    count_release();
}

static void *work(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    count_visitors();
    say("worker: 3 visitors");
    return NULL;
}

static void report(void) {
    count_acquire();
    say("child: report");
    count_release();
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, work, NULL);
    sleep_ms(60);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        report();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}

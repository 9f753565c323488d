// Looks stuck and is not: the child computes and sleeps for a while before it takes the mutex, which nobody
// held at the fork; the worker takes it only afterwards, in the parent. refork must stay silent.
//
// expect: none
// status: 0
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static int forked[2]; // a pipe: the worker starts when the fork is over

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void *write_report(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    char go;
    if (read(forked[0], &go, 1) != 1) abort();
    pthread_mutex_lock(&log_mutex);
    puts("worker: writing a report, with the log locked");
    fflush(stdout);
    sleep_ms(300);
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static uint32_t compute(void) {
    uint32_t x = 1;
    for (int i = 0; i < 50000000; i++)
        x = x * 1664525 + 1013904223;
    return x;
}

static void run_child(void) {
    uint32_t x = compute();
    sleep_ms(700);
    pthread_mutex_lock(&log_mutex);
    printf("child: computed %u\n", x);
    pthread_mutex_unlock(&log_mutex);
    exit(0);
}

int main(void) {
    if (pipe(forked)) return 1;
    pthread_t worker;
    pthread_create(&worker, NULL, write_report, NULL);
    puts("main: fork");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) run_child();
    if (write(forked[1], "g", 1) != 1) return 1;
    int status;
    waitpid(child, &status, 0);
    pthread_join(worker, NULL);
    puts("main: done");
    return WEXITSTATUS(status);
}

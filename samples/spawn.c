// mutex_deadlock with posix_spawn instead of fork: the new program starts with nothing of its parent's
// memory, so no lock can be inherited. refork must stay silent.
//
// expect: none
// status: 0
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void *write_report(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    pthread_mutex_lock(&log_mutex);
    puts("worker: writing a report, with the log locked");
    fflush(stdout);
    sleep_ms(500);
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, write_report, NULL);
    sleep_ms(100); // as in mutex_deadlock
    puts("main: spawn");
    fflush(stdout);
    pid_t child;
    char *const arguments[] = {"echo", "child: hello", NULL};
    int error = posix_spawnp(&child, "echo", NULL, NULL, arguments, environ);
    if (error) return 1;
    int status;
    waitpid(child, &status, 0);
    pthread_join(worker, NULL);
    puts("main: done");
    return WEXITSTATUS(status);
}

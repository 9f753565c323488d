// mutex_deadlock, repaired: fork handlers take the log's mutex before the fork and give it back on both
// sides, so that no other thread can hold it in that moment. refork must stay silent.
//
// expect: none
// status: 0
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void log_begin(void) {
    pthread_mutex_lock(&log_mutex);
}

static void log_end(void) {
    pthread_mutex_unlock(&log_mutex);
}

static void *write_report(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    log_begin();
    puts("worker: writing a report, with the log locked");
    fflush(stdout);
    sleep_ms(500);
    log_end();
    return NULL;
}

static void run_child(void) {
    log_begin();
    puts("child: hello");
    log_end();
    exit(0);
}

int main(void) {
    pthread_atfork(log_begin, log_end, log_end);
    pthread_t worker;
    pthread_create(&worker, NULL, write_report, NULL);
    sleep_ms(100); // as in mutex_deadlock
    puts("main: fork");
    fflush(stdout);
    pid_t child = fork(); // waits in log_begin until the worker is done
    if (child == 0) run_child();
    int status;
    waitpid(child, &status, 0);
    pthread_join(worker, NULL);
    puts("main: done");
    return WEXITSTATUS(status);
}

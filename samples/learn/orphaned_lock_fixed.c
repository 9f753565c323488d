// mutex_deadlock, repaired: main has the log's mutex itself when it forks, so no other thread has it then.
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
    sleep_ms(300);
    log_end();
    return NULL;
}

static void run_child(void) {
    log_end();
    log_begin();
    puts("child: hello");
    log_end();
    exit(0);
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, write_report, NULL);
    sleep_ms(100); // only time keeps the two in order, as in programs that this happens to
    puts("main: fork");
    fflush(stdout);
    log_begin(); // the worker cannot have it at the fork
    pid_t child = fork();
    if (child == 0) run_child();
    log_end();
    int status;
    waitpid(child, &status, 0);
    pthread_join(worker, NULL);
    puts("main: done");
    return 0;
}

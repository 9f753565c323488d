// To be repaired: the child waits for the reports' mutex, and holds the heap of a thread that is gone.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t reports_mutex = PTHREAD_MUTEX_INITIALIZER;

static __thread struct {
    int count;
    char *reports[16];
} recent;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

static void keep_report(const char *line) {
    recent.reports[recent.count++] = strdup(line); // freed with its thread's heap
    say(line);
}

static void *write_reports(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    pthread_mutex_lock(&reports_mutex);
    for (int i = 0; i < 3; i++)
        sleep_ms(200); // a report takes its time
    keep_report("worker: report");
    pthread_mutex_unlock(&reports_mutex);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&reports_mutex);
    keep_report("child: report");
    pthread_mutex_unlock(&reports_mutex);
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, write_reports, NULL);
    sleep_ms(60);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        run_child();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}

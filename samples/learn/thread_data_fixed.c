// thread_heaps, repaired: the child is forked before there are threads, so nothing of theirs is in it.
#include "samples/stage.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static __thread struct {
    int count;
    char *reports[16];
} recent;

static void *come_and_go(void *unused) {
    (void)unused;
    recent.reports[recent.count++] = malloc(100); // gone with its thread
    return NULL;
}

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    recent.reports[recent.count++] = malloc(100);
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&log_mutex);
    say("child: done");
    _exit(0);
}

int main(void) {
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    for (int i = 0; i < 4; i++)
        pthread_join(thread_start(come_and_go), NULL);
    thread_start(write_report);
    gate_wait(&held);
    gate_open(&forked);
    return reap(child);
}

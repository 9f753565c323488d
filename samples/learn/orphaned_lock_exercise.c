// To be repaired: the child hangs when the worker counts while main forks.
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;
static int visitors;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

static void count_visitors(void) {
    pthread_mutex_lock(&count_mutex);
    for (int i = 0; i < 3; i++) {
        visitors++;
        sleep_ms(200); // visitors take their time
    }
    pthread_mutex_unlock(&count_mutex);
}

static void *work(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    count_visitors();
    say("worker: 3 visitors");
    return NULL;
}

static void report(void) {
    pthread_mutex_lock(&count_mutex);
    say("child: report");
    pthread_mutex_unlock(&count_mutex);
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

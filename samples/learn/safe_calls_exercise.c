// To be repaired: the child hangs in localtime when the worker asks for the time zone while main forks.
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
static _Thread_local bool slow;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

// localtime allocates with the lock of the time zone held, and this thread's allocator takes its time.
void *malloc(size_t size) {
    if (slow) {
        slow = false;
        sleep_ms(600);
    }
    return __libc_malloc(size);
}

static void *tell_date(void *unused) {
    (void)unused;
    struct tm date;
    const time_t when = 86400;
    pthread_setname_np(pthread_self(), "worker");
    slow = true;
    localtime_r(&when, &date);
    say(date.tm_year == 70 ? "worker: 1970" : "worker: another year");
    return NULL;
}

static void report(const time_t *when) {
    const struct tm *date = localtime(when);
    say(date->tm_year == 71 ? "child: 1971" : "child: another year");
}

int main(void) {
    pthread_t worker;
    const time_t when = 400 * 86400;
    setenv("TZ", "UTC0", 1);
    pthread_create(&worker, NULL, tell_date, NULL);
    sleep_ms(60);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        report(&when);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}

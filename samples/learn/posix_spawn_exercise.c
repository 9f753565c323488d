// To be repaired: the child hangs in setenv when the worker changes the environment while main forks.
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_realloc(void *, size_t);
static _Thread_local bool slow;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

// setenv allocates with its lock held, and this thread's allocator takes its time.
void *realloc(void *p, size_t size) {
    if (slow) {
        slow = false;
        sleep_ms(600);
    }
    return __libc_realloc(p, size);
}

static void *set_locale(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    slow = true;
    setenv("LC_ALL", "C", 1);
    say("worker: locale");
    return NULL;
}

static pid_t start_request(void) {
    pid_t child = fork();
    if (child == 0) {
        setenv("REQUEST", "42", 1);
        execl("/bin/sh", "sh", "-c", "echo child: request $REQUEST", NULL);
        _exit(127);
    }
    return child;
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, set_locale, NULL);
    sleep_ms(60);
    say("main: start");
    waitpid(start_request(), NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}

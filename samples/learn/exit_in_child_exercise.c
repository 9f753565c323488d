// To be repaired: the child has done its work and cannot end when the worker loads plugins while main forks.
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_calloc(size_t, size_t);
static _Thread_local bool slow;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

// atexit allocates with its lock held, and this thread's allocator takes its time.
void *calloc(size_t n, size_t size) {
    if (slow) {
        slow = false;
        sleep_ms(600);
    }
    return __libc_calloc(n, size);
}

static void unload(void) {}

static void *load_plugins(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    slow = true;
    for (int i = 0; i < 40; i++) // the list grows by blocks of 32
        atexit(unload);
    say("worker: 40 plugins");
    return NULL;
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, load_plugins, NULL);
    sleep_ms(60);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        say("child: report");
        exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}

// To be repaired: the child hangs in malloc when the worker gives memory back while main forks.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Thread_local int slow;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    char text[100]; // dprintf allocates
    int length = snprintf(text, sizeof text, "%s\n", line);
    if (write(STDOUT_FILENO, text, (size_t)length) != length) _exit(1);
}

// The kernel takes its time, as it does for much memory.
int madvise(void *address, size_t size, int advice) {
    if (slow) {
        slow = 0;
        sleep_ms(600);
    }
    return (int)syscall(SYS_madvise, address, size, advice);
}

static void *give_back(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    void (*release)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "MallocExtension_ReleaseFreeMemory");
    slow = 1;
    release();
    say("worker: memory is given back");
    return NULL;
}

static void report(void) {
    char *text = malloc(4 << 20);
    if (!text) _exit(1);
    snprintf(text, 100, "child: report");
    say(text);
}

int main(void) {
    pthread_t worker;
    char *volatile block = malloc(1 << 20); // a compiler takes malloc and free away where nobody looks
    free(block);
    pthread_create(&worker, NULL, give_back, NULL);
    sleep_ms(60);
    say("main: fork");
    pid_t child = _Fork();
    if (child == 0) {
        report();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}

// A thread makes small calls all the time: first while the other one waits for a child, then while that one could run.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_bool over;

static void *calls(void *arg) {
    (void)arg;
    while (!over)
        (void)getppid();
    return NULL;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, calls, NULL)) return 1;
    pid_t child = fork();
    if (child < 0) return 1;
    if (!child) {
        for (int i = 0; i < 200; i++)
            (void)getppid();
        _exit(0);
    }
    if (waitpid(child, NULL, 0) != child) return 1;
    sched_yield(); // under a schedule of delays the thread goes on until it has had 20,000 steps
    over = true;
    if (pthread_join(thread, NULL)) return 1;
    puts("over");
    return 0;
}

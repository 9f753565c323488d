// A deadlock behind so many small syscalls: what a verdict costs on a long trace.
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int ready[2];

static void *hold(void *unused) {
    pthread_mutex_lock(&mutex);
    if (write(ready[1], "", 1) != 1) abort();
    pause();
    return unused;
}

int main(int argc, char **argv) {
    long calls = argc > 1 ? atol(argv[1]) : 10000;
    for (long i = 0; i < calls; i++)
        syscall(SYS_getppid);
    pthread_t thread;
    char byte;
    if (pipe(ready) || pthread_create(&thread, NULL, hold, NULL) || read(ready[0], &byte, 1) != 1) return 1;
    pid_t child = fork();
    if (!child) {
        pthread_mutex_lock(&mutex);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 0;
}

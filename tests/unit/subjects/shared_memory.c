// test_timeline.c: threads and processes that write into memory which they share.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static long total;
static long *shared;
static void *work(void *x) {
    for (int i = 0; i < 200; i++) {
        char *p = malloc(5000 + i);
        memset(p, i, 5000);
        pthread_mutex_lock(&m);
        total += p[i];
        ++*shared;
        if (i % 20 == 0) usleep(100); // others find it locked
        pthread_mutex_unlock(&m);
        free(p);
    }
    return x;
}

int main(void) {
    shared = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], 0, work, 0);
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        pid_t c = fork();
        if (!c) {
            for (int k = 0; k < 300; k++) {
                *shared += k;
                getppid();
            }
            _exit(i);
        }
        int s;
        waitpid(c, &s, 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], 0);
    for (int i = 0; i < 4000; i++)
        getppid();
    printf("%ld %ld\n", total, *shared);
    return 0;
}

// A mutex that is taken twenty thousand times, and then in the same slice once more, to be kept over a fork: who holds it is to
// be found among all those accesses. Recursive ones and plain ones.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t hot = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static long total;
static int ready[2], go[2];

static void *work(void *context) {
    char byte = 0;
    for (int i = 0; i < 10000; i++) {
        pthread_mutex_lock(&hot);
        pthread_mutex_lock(&recursive);
        total++;
        pthread_mutex_unlock(&recursive);
        pthread_mutex_unlock(&hot);
    }
    if (!context) return NULL;
    pthread_mutex_lock(&hot);
    pthread_mutex_lock(&recursive);
    if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1) abort();
    pthread_mutex_unlock(&recursive);
    pthread_mutex_unlock(&hot);
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    char byte = 0;
    int status;
    if (pipe(ready) < 0 || pipe(go) < 0) return 1;
    for (long i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    pthread_join(threads[0], NULL);
    if (read(ready[0], &byte, 1) != 1) return 1;
    pid_t child = fork();
    if (!child) _exit(pthread_mutex_trylock(&hot) && pthread_mutex_trylock(&recursive) ? 7 : 1);
    if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 1;
    if (write(go[1], &byte, 1) != 1) return 1;
    pthread_join(threads[1], NULL);
    printf("%ld\n", total);
    return total != 20000;
}

// For -fsanitize=thread and address (tests/checks/sanitizers.sh): threads that allocate, lock and open while their process
// forks. "hang": the child needs a mutex that a thread of its parent holds.
#include "program.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 2, FORKS = 3, ROUNDS = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t held;
static int stop;

static void some_work(int i) {
    char *p = malloc(777 + (size_t)i);
    memset(p, i, 777);
    free(p);
    int fd = dup(0);
    if (fd >= 0) close(fd);
}

static void *churn(void *nothing) {
    pthread_mutex_t *own = malloc(sizeof *own);
    for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++) {
        pthread_mutex_init(own, NULL);
        pthread_mutex_lock(own);
        some_work(i);
        pthread_mutex_unlock(own);
        pthread_mutex_destroy(own);
    }
    free(own);
    return nothing;
}

static void *hold(void *nothing) {
    pthread_mutex_lock(&lock);
    pthread_barrier_wait(&held);
    for (;;)
        pause();
    return nothing;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS], holder;
    if (argc > 1 && !strcmp(argv[1], "hang")) {
        pthread_barrier_init(&held, NULL, 2);
        pthread_create(&holder, NULL, hold, NULL);
        pthread_barrier_wait(&held);
        pid_t child = fork();
        if (!child) {
            pthread_mutex_lock(&lock);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        return 0;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int k = 0; k < FORKS; k++) {
        int status;
        pid_t child = fork();
        if (!child) {
            for (int i = 0; i < ROUNDS; i++)
                some_work(i);
            _exit(k);
        }
        waitpid(child, &status, 0);
        printf("child %d: %d\n", k, WEXITSTATUS(status));
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts("fine");
    return 0;
}

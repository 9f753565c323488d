// Three workers take a lock for one system call each time, main forks in between and its children take it, too. Nothing
// sleeps: a run without switches does not hang, one that switches at random places (--chaos) mostly does.
#include "program.h"

enum { WORKERS = 3, ROUNDS = 30, FORKS = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int used;
static char line[WORKERS][64];

static void *work(void *number) {
    char *mine = line[(intptr_t)number];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(mine, sizeof line[0], "round %d", i);
        if (strlen(mine) < 7) continue;
        pthread_mutex_lock(&lock);
        used++;
        getppid();
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(void) {
    pthread_t workers[WORKERS];
    for (intptr_t i = 0; i < WORKERS; i++)
        CHECK(!pthread_create(&workers[i], NULL, work, (void *)i));
    for (int i = 0; i < FORKS; i++) {
        char text[32];
        for (int k = 0; k < ROUNDS; k++)
            snprintf(text, sizeof text, "fork %d of %d", i, getppid() ? k : 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            pthread_mutex_lock(&lock);
            used++;
            pthread_mutex_unlock(&lock);
            _exit(7);
        }
        CHECK(reap(child) == 7);
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK(!pthread_join(workers[i], NULL));
    printf("%d\n", used);
    return 0;
}

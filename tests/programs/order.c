// Prints the order in which its threads ran: each adds its letter to a line, with library calls in between. The
// children that two of them make wait for a lock, a pipe and each other, so that tasks sleep and are woken. "spin":
// one more thread waits for the others by polling.
#include "program.h"

enum { THREADS = 4, TURNS = 25 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char line[THREADS * TURNS + 64];
static volatile size_t used;
static int pipes[2];

static void add(char letter) {
    pthread_mutex_lock(&lock);
    line[used] = letter;
    used = used + 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void *work(void *number) {
    char letter = (char)('a' + (intptr_t)number), text[64];
    for (int i = 0; i < TURNS; i++) {
        snprintf(text, sizeof text, "%c %d", letter, i);
        if (strlen(text) > 2) add(letter);
        if (i == TURNS / 2 && letter < 'c') {
            pid_t child = fork();
            CHECK(child >= 0);
            if (!child) {
                CHECK(write(pipes[1], &letter, 1) == 1);
                _exit(0);
            }
            char got;
            CHECK(read(pipes[0], &got, 1) == 1);
            CHECK(waitpid(child, NULL, 0) == child);
            add((char)(letter - 'a' + 'A'));
        }
        if (i % 10 == 9 && letter == 'd') { // until somebody has added something
            pthread_mutex_lock(&lock);
            size_t before = used;
            while (used == before && used < THREADS * TURNS - 20)
                pthread_cond_wait(&changed, &lock);
            pthread_mutex_unlock(&lock);
        }
    }
    return NULL;
}

static void *poll_others(void *unused) {
    (void)unused;
    while (used < THREADS * TURNS)
        sched_yield();
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS], poller;
    (void)argv;
    CHECK(!pipe(pipes));
    if (argc > 1) CHECK(!pthread_create(&poller, NULL, poll_others, NULL));
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (argc > 1) pthread_join(poller, NULL);
    puts(line);
    return 0;
}

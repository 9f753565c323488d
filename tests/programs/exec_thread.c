// execve from a thread that is not the first, while others run, sleep and hold a mutex: all of them vanish,
// the new image takes the first thread's TID.
#include "program.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char **arguments;

static void *sleep_locked(void *unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    sleep_ms(60000);
    return NULL;
}

static void *spin(void *counter) {
    for (;;)
        (*(volatile uint64_t *)counter)++;
    return NULL;
}

static void *replace(void *unused) {
    (void)unused;
    sleep_ms(20);
    printf("tid %d of process %d executes itself\n", gettid_now(), getpid());
    fflush(stdout);
    char *const next[] = {arguments[0], "again", NULL};
    execv("/proc/self/exe", next);
    CHECK(!"execv returned");
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        CHECK(gettid_now() == getpid());
        printf("second image: process %d, %s\n", getpid(), argv[1]);
        return 6;
    }
    arguments = argv;
    static uint64_t counter;
    pthread_t threads[3];
    CHECK(pthread_create(&threads[0], NULL, sleep_locked, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, spin, &counter) == 0);
    CHECK(pthread_create(&threads[2], NULL, replace, NULL) == 0);
    pthread_join(threads[0], NULL);
    CHECK(!"not replaced");
}

// What may be told to end: told_to_end default|ignores|busy|stuck. Says "waits", and never ends by itself.
#include "program.h"

#include <stdbool.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void *signals(void *unused) {
    (void)unused;
    for (;;) {
        usleep(20000);
        pthread_mutex_lock(&mutex);
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

// A child that only the parent's thread would wake, and a parent that looks after it again and again.
static void stuck(void) {
    pthread_t thread;
    int status;
    CHECK(pthread_create(&thread, NULL, signals, NULL) == 0);
    pid_t child = fork();
    if (!child) {
        pthread_mutex_lock(&mutex);
        for (;;)
            pthread_cond_wait(&condition, &mutex);
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        usleep(20000);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    bool ignores = !strcmp(how, "ignores") || !strcmp(how, "busy");
    signal(SIGINT, ignores ? SIG_IGN : SIG_DFL);
    signal(SIGTERM, ignores ? SIG_IGN : SIG_DFL);
    puts("waits");
    fflush(stdout);
    if (!strcmp(how, "stuck")) stuck();
    for (volatile unsigned long turns = 0; !strcmp(how, "busy");)
        turns++;
    for (;;)
        pause();
}

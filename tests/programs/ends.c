// How a program can end: `ends HOW`. With threads alive, wherever that makes a difference.
#include "program.h"

static void *sleep_long(void *unused) {
    (void)unused;
    sleep_ms(60000);
    return NULL;
}

static void *end_soon(void *unused) {
    (void)unused;
    sleep_ms(20);
    puts("the last thread");
    return NULL;
}

static void *exit_7(void *unused) {
    (void)unused;
    sleep_ms(20);
    exit(7);
}

static void start(void *(*run)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, NULL) == 0);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    puts(how);
    fflush(stdout);
    if (!strcmp(how, "main-first")) {
        start(end_soon);
        pthread_exit(NULL); // status 0, by the last thread
    }
    if (!strcmp(how, "thread-exits")) {
        start(sleep_long);
        start(exit_7);
        sleep_ms(60000);
    }
    start(sleep_long);
    if (!strcmp(how, "status")) return 42;
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "segv")) *(volatile int *)8 = 1;
    if (!strcmp(how, "kill")) kill(getpid(), SIGKILL);
    if (!strcmp(how, "term")) raise(SIGTERM);
    return 1;
}

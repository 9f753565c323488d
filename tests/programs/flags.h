// A thread that makes no syscall and has its own use for its flags, beside main, which sleeps: a machine with one CPU
// single-steps it, or patches it.
#ifndef REFORK_TESTS_PROGRAMS_FLAGS_H
#define REFORK_TESTS_PROGRAMS_FLAGS_H

#include "program.h"

static volatile int stop;

// Runs `loop` until main has slept five times; it stores in its argument how often it went round.
static int run_flags(void *(*loop)(void *)) {
    pthread_t t;
    unsigned long n = 0;
    CHECK(pthread_create(&t, NULL, loop, &n) == 0);
    for (int i = 0; i < 5; i++)
        sleep_ms(10);
    stop = 1;
    CHECK(pthread_join(t, NULL) == 0);
    printf("%lu\n", n);
    return 0;
}

#endif

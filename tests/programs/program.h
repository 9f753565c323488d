// What the recorded test programs share. Each checks itself and prints on purpose what differs from run to
// run (addresses, times, TIDs, random bytes): a replay must print the same again.
#ifndef REFORK_TESTS_PROGRAMS_PROGRAM_H
#define REFORK_TESTS_PROGRAMS_PROGRAM_H

#include "samples/asleep.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096l

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "FAILED %s:%d: %s (errno %s)\n", __FILE__, __LINE__, #condition,                 \
                    strerror(errno));                                                                        \
            fflush(NULL);                                                                                    \
            _exit(99);                                                                                       \
        }                                                                                                    \
    } while (0)

// Sleeping is what is recorded, or it makes the wait of another task last. Nothing here is right only if it was long enough:
// who needs another one to be asleep waits for that (until_asleep).
__attribute__((unused)) static void sleep_ms(long ms) {
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

__attribute__((unused)) static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

__attribute__((unused)) static int gettid_now(void) {
    return (int)syscall(SYS_gettid);
}

// FNV-1a
__attribute__((unused)) static uint64_t hash_bytes(uint64_t h, const void *data, size_t len) {
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

// Waits for a child and returns its exit status; a child that died by a signal fails the test.
__attribute__((unused)) static int reap(pid_t child) {
    int status;
    pid_t got;
    while ((got = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        ;
    CHECK(got == child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

// The row of an array with that `name`; without an argument it prints all names, and there is none.
#define CASE_OF(rows, argc, argv)                                                                            \
    ({                                                                                                       \
        __typeof__(&(rows)[0]) case_found = NULL;                                                            \
        for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++) {                                         \
            if ((argc) < 2) puts((rows)[i].name);                                                            \
            if ((argc) > 1 && !strcmp((argv)[1], (rows)[i].name)) case_found = &(rows)[i];                   \
        }                                                                                                    \
        case_found;                                                                                          \
    })

#endif

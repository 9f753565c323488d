// Two threads that never make a syscall (busy() of the including file) beside main, which sleeps and prints
// every 10 ms and sends each of them signals. Every part must get its turn, in the recording too: the program
// ends by itself only when both threads have been seen to move between any two of some prints and to handle
// each signal.
#ifndef REFORK_TESTS_PROGRAMS_BUSY_H
#define REFORK_TESTS_PROGRAMS_BUSY_H

#include "program.h"

#define ROUNDS 12

static atomic_int stop;
static _Atomic uint64_t turns[2]; // how far each busy thread is
static atomic_int handled[2];
static __thread int self = -1;

// Runs until `stop` is set, counting turns[index] up.
static void busy(int index);

static void on_signal(int signal) {
    (void)signal;
    if (self < 0) return;
    int n = atomic_fetch_add(&handled[self], 1) + 1;
    char line[32] = "signal 0 in busy thread 0\n";
    line[7] = (char)('0' + n % 10);
    line[24] = (char)('0' + self);
    if (write(STDOUT_FILENO, line, 26) != 26) _exit(98);
}

static void *run_busy(void *index) {
    self = (int)(intptr_t)index;
    pthread_setname_np(pthread_self(), self ? "busy-1" : "busy-0");
    busy(self);
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sigaction action = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t threads[2];
    for (intptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, run_busy, (void *)i) == 0);
    while (!atomic_load(&turns[0]) || !atomic_load(&turns[1]))
        sleep_ms(10);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t seen[2] = {atomic_load(&turns[0]), atomic_load(&turns[1])};
        int target = round % 2, before = atomic_load(&handled[target]);
        if (round % 3 == 0) CHECK(pthread_kill(threads[target], SIGUSR1) == 0);
        printf("round %d: %llu %llu turns at %lld ns\n", round, (unsigned long long)seen[0],
               (unsigned long long)seen[1], now_ns());
        sleep_ms(10);
        if (round % 3 == 0)
            while (atomic_load(&handled[target]) == before)
                sleep_ms(10);
        for (int i = 0; i < 2; i++)
            while (atomic_load(&turns[i]) == seen[i])
                sleep_ms(10); // would wait for ever if a thread starved
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    printf("end: %llu %llu turns, %d %d signals\n", (unsigned long long)turns[0],
           (unsigned long long)turns[1], handled[0], handled[1]);
    return 0;
}

#endif

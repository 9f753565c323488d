// Alarms that come while refork looks instruction by instruction at the loop that they interrupt: each loop is another one, so that
// it is looked at anew.
#include "program.h"

#include <sys/time.h>

static atomic_int alarms, enough;
static const struct itimerval off;

// It ends the alarms itself: under refork each of them takes longer than the time to the next.
static void on_alarm(int signal) {
    (void)signal;
    if (++alarms == enough) setitimer(ITIMER_REAL, &off, NULL);
}

// The shortest instruction of these has no room for a jump; the longest has.
#define LOOP(name)                                                                                           \
    __attribute__((noinline)) static uint64_t name(uint64_t n, int until) {                                  \
        goto look;                                                                                           \
    turn:                                                                                                    \
        __asm__ volatile("add $1,%0" : "+r"(n) : : "cc");                                                    \
    look:                                                                                                    \
        if (atomic_load(&alarms) < until) goto turn;                                                         \
        return n;                                                                                            \
    }
// clang-format off
LOOP(loop1) LOOP(loop2) LOOP(loop3) LOOP(loop4) LOOP(loop5) LOOP(loop6) LOOP(loop7) LOOP(loop8)
LOOP(loop9) LOOP(loop10) LOOP(loop11) LOOP(loop12) LOOP(loop13) LOOP(loop14) LOOP(loop15) LOOP(loop16)
    // clang-format on

    // The argument: microseconds between two alarms.
    int main(int argc, char **argv) {
    const struct timeval between = {0, argc > 1 ? atoi(argv[1]) : 20};
    const struct itimerval every = {between, between};
    static uint64_t (*const loops[])(uint64_t, int) = {loop1,  loop2,  loop3,  loop4,  loop5,  loop6,
                                                       loop7,  loop8,  loop9,  loop10, loop11, loop12,
                                                       loop13, loop14, loop15, loop16};
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        enough = alarms + 4;
        CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
        n = loops[i](n, enough);
    }
    printf("%llu turns\n", (unsigned long long)n);
    return 0;
}

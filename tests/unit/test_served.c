// recorder/end/served.c: a time limit counts no time in which others had the CPU.
#include "recorder/end/served.h"

#include "core/clock.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void a_machine_that_stands_still(void **state) {
    (void)state;
    static struct recorder r;
    memset(&r, 0, sizeof r);
    served_look(&r, 60000);
    uint64_t before = served_us(&r, 60000);
    served_look(&r, 70000); // not again so soon
    assert_int_equal(r.served.looked_us, 60000);
    served_look(&r, 10060000);
    assert_in_range(served_us(&r, 10060000), before, before + 500000);
}

static uint64_t delayed_us(void) {
    unsigned long long ran, delayed;
    FILE *f = fopen("/proc/thread-self/schedstat", "re");
    if (!f) return 0;
    assert_int_equal(fscanf(f, "%llu %llu", &ran, &delayed), 2);
    fclose(f);
    return delayed / 1000;
}

static void a_cpu_that_others_have(void **state) {
    (void)state;
    static struct recorder r;
    memset(&r, 0, sizeof r);
    if (access("/proc/thread-self/schedstat", R_OK) != 0) skip();
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    pid_t busy = fork();
    assert_true(busy >= 0);
    if (!busy)
        for (volatile unsigned long n = 0;; n++)
            ;
    uint64_t start = clock_us(CLOCK_MONOTONIC), now = 60000, before = delayed_us(), waited = 0;
    served_look(&r, now);
    uint64_t served = served_us(&r, now);
    // Looks are less than half a second apart, as far as the recorder knows: only the waiting can make the difference.
    while (waited < 300000) {
        now += 400000;
        for (uint64_t until = clock_us(CLOCK_MONOTONIC) + 20000; clock_us(CLOCK_MONOTONIC) < until;)
            ;
        served_look(&r, now);
        waited = delayed_us() - before;
        if (clock_us(CLOCK_MONOTONIC) - start > 120000000) break;
    }
    kill(busy, SIGKILL);
    waitpid(busy, NULL, 0);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_true(waited >= 300000);
    assert_true(now - 60000 - (served_us(&r, now) - served) >= 250000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_stands_still),
        cmocka_unit_test(a_cpu_that_others_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

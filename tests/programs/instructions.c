// Instructions whose results differ from run to run or machine to machine: rdtsc, rdtscp, cpuid, rdrand,
// rdseed (asked for without looking at cpuid first), xgetbv. Prints what they gave.
#include "program.h"

#include <cpuid.h>
#include <setjmp.h>

static sigjmp_buf illegal;

static void on_illegal(int signal) {
    siglongjmp(illegal, signal);
}

static uint64_t rdtsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static uint64_t rdtscp(uint32_t *aux) {
    uint32_t low, high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux));
    return (uint64_t)high << 32 | low;
}

int main(void) {
    uint64_t before = rdtsc(), h = 0xcbf29ce484222325ull;
    for (int i = 0; i < 100; i++) {
        uint64_t t = rdtsc();
        CHECK(t >= before);
        before = t;
        h = hash_bytes(h, &t, sizeof t);
    }
    uint32_t aux;
    uint64_t t = rdtscp(&aux);
    CHECK(t >= before);
    printf("rdtsc %llu, rdtscp %llu on %u, hash of 100: %016llx\n", (unsigned long long)before,
           (unsigned long long)t, aux, (unsigned long long)h);

    h = 0xcbf29ce484222325ull;
    uint32_t r[4];
    __cpuid(0, r[0], r[1], r[2], r[3]);
    uint32_t last = r[0];
    CHECK(last >= 1);
    for (uint32_t leaf = 0; leaf <= last && leaf < 32; leaf++) {
        __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
        h = hash_bytes(h, r, sizeof r);
    }
    __cpuid(1, r[0], r[1], r[2], r[3]);
    printf("cpuid: %u leaves, hash %016llx, signature %x, rdrand %s\n", last, (unsigned long long)h, r[0],
           r[2] & bit_RDRND ? "shown" : "hidden");

    struct sigaction action = {.sa_handler = on_illegal};
    CHECK(sigaction(SIGILL, &action, NULL) == 0);
    if (sigsetjmp(illegal, 1) == 0) {
        for (int i = 0; i < 4; i++) {
            uint64_t random;
            unsigned char ok;
            __asm__ volatile("rdrand %0; setc %1" : "=r"(random), "=qm"(ok) : : "cc");
            uint16_t narrow;
            unsigned char ok16;
            __asm__ volatile("rdrand %0; setc %1" : "=r"(narrow), "=qm"(ok16) : : "cc");
            printf("rdrand %d %016llx, %d %04x\n", ok, (unsigned long long)random, ok16, narrow);
        }
    } else
        puts("rdrand: no such instruction");
    if (sigsetjmp(illegal, 1) == 0) {
        uint64_t random;
        unsigned char ok;
        __asm__ volatile("rdseed %0; setc %1" : "=r"(random), "=qm"(ok) : : "cc");
        printf("rdseed %d %016llx\n", ok, (unsigned long long)random);
    } else
        puts("rdseed: no such instruction");
    return 0;
}
